"""Schedules: when, and the job or monitor that then starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from doubleloop.sdk.entities.model import Entity, Pointer, Sheet


@dataclass(kw_only=True, eq=False, repr=False)
class CronTrigger(Entity):
    """``expression``: minute, hour, day of month, month, day of week. ``time_zone``: Windows or IANA name."""

    expression: str
    start_time: str | datetime | None = None
    end_time: str | datetime | None = None
    time_zone: str | None = None
    type: str = "cron"


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrencePattern(Entity):
    """The times within a day, week or month."""

    hours: int | list[int]
    minutes: int | list[int]
    week_days: str | list[str] | None = None
    month_days: int | list[int] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrenceTrigger(Entity):
    """Every ``interval`` of ``frequency`` (minute, hour, day, week, month)."""

    _inner: ClassVar[Mapping[str, type[Entity]]] = {"schedule": RecurrencePattern}

    frequency: str
    interval: int
    schedule: RecurrencePattern | None = None
    start_time: str | datetime | None = None
    end_time: str | datetime | None = None
    time_zone: str | None = None
    type: str = "recurrence"


@dataclass(kw_only=True, eq=False, repr=False)
class Schedule(Entity):
    """What all schedules have in common."""

    _kind: ClassVar[str] = "schedule"

    name: str
    trigger: CronTrigger | RecurrenceTrigger | Mapping[str, Any] | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    import_data: Any = None

    @property
    def body(self) -> dict[str, Any]:
        """What the server says of it (``enabled``, ``next_run_at`` …); empty for one that was made here."""
        found: dict[str, Any] = self.__dict__.get("_body", {})
        return found

    @property
    def is_enabled(self) -> bool | None:
        return self.body.get("enabled")

    @classmethod
    def _read_value(cls, alias: str, value: Any, lines: Any) -> Any:
        if alias == "trigger" and isinstance(value, dict):
            kind = CronTrigger if str(value.get("type")).lower() == "cron" else RecurrenceTrigger
            return kind._read(value, lines)
        return super()._read_value(alias, value, lines)


@dataclass(kw_only=True, eq=False, repr=False)
class JobSchedule(Schedule):
    """A job at set times. ``create_job``: a job, or ``azureml:NAME`` of one that ran before."""

    create_job: str | Entity | Mapping[str, Any] | None = None

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name == "create_job" and isinstance(value, Entity):
            sheet.say((*at, name), self._line_of(name))
            data[name] = {"job": sheet.value(value, (*at, name, "job"))}
        else:
            super()._put(sheet, data, at, name, value)


@dataclass(kw_only=True, eq=False, repr=False)
class MonitorSchedule(Schedule):
    """A monitor at set times; ``create_monitor`` holds the fields of a monitor's file."""

    create_monitor: Mapping[str, Any] | None = None
