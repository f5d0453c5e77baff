"""Schedules of jobs and of monitors."""

from __future__ import annotations

import builtins

from doubleloop.sdk import routes
from doubleloop.sdk.entities.schedules import JobSchedule, MonitorSchedule, Schedule
from doubleloop.sdk.operations import model


class ScheduleOperations:
    """``client.schedules``."""

    def __init__(self, place: model.Place) -> None:
        self.place = place

    def begin_create_or_update(self, schedule: Schedule) -> model.Poller[Schedule]:
        """Keep a schedule; one of that name is changed. It is done at once."""
        document, wire = self.place.ship(schedule)
        if document.model.create_monitor is None:
            return model.done(_schedule(self.place.routes.schedules.put(wire)))
        self.place.routes.monitors.put(wire)
        return model.done(self.get(document.model.name))

    def create_or_update(self, schedule: Schedule) -> Schedule:
        """As ``begin_create_or_update(...).result()``."""
        return self.begin_create_or_update(schedule).result()

    def get(self, name: str) -> Schedule:
        """Raises NotFound."""
        return _schedule(self.place.routes.schedules.show(name))

    def list(self) -> builtins.list[Schedule]:
        return [_schedule(body) for body in self.place.routes.schedules.list()]

    def begin_enable(self, name: str) -> model.Poller[Schedule]:
        """Let it run again, from the next time on."""
        return model.done(_schedule(self.place.routes.schedules.enable(name)))

    def begin_disable(self, name: str) -> model.Poller[Schedule]:
        """Keep it, and let it rest."""
        return model.done(_schedule(self.place.routes.schedules.disable(name)))

    def begin_delete(self, name: str) -> model.Poller[bool]:
        """A monitor's schedule goes with its monitor."""
        self.place.routes.schedules.delete(name)
        return model.done(True)


def _schedule(body: routes.Body) -> Schedule:
    spec = body.get("spec") or {"name": body["name"], "trigger": body.get("trigger")}
    cls: type[Schedule] = MonitorSchedule if body.get("kind") == "monitor" else JobSchedule
    made = cls._read(dict(spec), {})
    made.__dict__["_body"] = body
    return made
