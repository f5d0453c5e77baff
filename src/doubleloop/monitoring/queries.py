"""Looking at monitors, runs, the course of a signal, and alerts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import queries as events
from doubleloop.events.model import Fact
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.monitoring import alerts as life
from doubleloop.monitoring import commands, model, store

_NOT_OVER = tuple(each for each in model.AlertState if each is not model.AlertState.RESOLVED)


def monitors(ctx: Ctx) -> list[model.Monitor]:
    sees = things.seen(ctx, Action.MONITOR_READ, "monitor")
    return [each for each in store.monitors(ctx, ctx.workspace) if sees(each.name)]


def get(ctx: Ctx, name: str) -> model.Monitor:
    identity.permit(ctx, Action.MONITOR_READ, resource=f"monitor/{name}")
    return commands.get(ctx, name)


def runs(ctx: Ctx, name: str, limit: int = 100) -> list[model.MonitorRun]:
    """Newest first."""
    identity.permit(ctx, Action.MONITOR_READ, resource=f"monitor/{name}")
    found = commands.get(ctx, name)
    return store.runs(ctx, found.workspace, name, limit)


def run(ctx: Ctx, id_: str) -> model.MonitorRun:
    """Raises NotFound, also for one of another workspace than the context's: that it exists is not told."""
    found = store.run(ctx, id_)
    if found is None or ctx.workspace not in (None, found.workspace):
        raise errors.NotFound(f"There is no monitor run {id_}")
    identity.permit(ctx, Action.MONITOR_READ, found.workspace, f"monitor/{found.monitor}")
    return found


def series(
    ctx: Ctx, name: str, signal: str | None = None, metric: str | None = None, column: str | None = None
) -> list[dict[str, Any]]:
    """One item per signal, metric and column: {signal, metric, column, threshold, points: [[at, value, alert], …]}.

    Points are oldest first; a window whose value could not be computed has None.
    """
    identity.permit(ctx, Action.MONITOR_READ, resource=f"monitor/{name}")
    found = commands.get(ctx, name)
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in store.values(ctx, found.workspace, name, signal, metric, column):
        key = (row["signal"], row["metric"], row["column"])
        line = lines.setdefault(key, {"signal": key[0], "metric": key[1], "column": key[2], "points": []})
        line["threshold"] = row["threshold"]
        line["points"].append([row["at"], row["value"], row["alert"]])
    return list(lines.values())


def alerts(
    ctx: Ctx, name: str | None = None, only_open: bool = False, limit: int = 100, states: Collection[str] = ()
) -> list[model.Alert]:
    """Newest first; of the context's workspace. ``only_open``: all but the resolved. Raises InvalidInput for a state
    that is none."""
    wanted = life.states(states) or (_NOT_OVER if only_open else ())
    if name is not None:
        identity.permit(ctx, Action.MONITOR_READ, resource=f"monitor/{name}")
        return store.alerts(ctx, ctx.workspace, name, wanted, limit)
    sees = things.seen(ctx, Action.MONITOR_READ, "monitor")
    return [each for each in store.alerts(ctx, ctx.workspace, None, wanted, limit) if sees(each.monitor)]


def alert(ctx: Ctx, id_: str) -> model.Alert:
    """Raises NotFound, also for one of another workspace than the context's: that it exists is not told."""
    things.permit_some(ctx, Action.MONITOR_READ, "monitor")
    found = store.alert(ctx, id_)
    if found is None or ctx.workspace not in (None, found.workspace):
        raise errors.NotFound(f"There is no alert {id_}", cure="`doubleloop alert list` shows those that there are.")
    identity.permit(ctx, Action.MONITOR_READ, found.workspace, f"monitor/{found.monitor}")
    return found


def history(ctx: Ctx, alert_: model.Alert) -> list[Fact]:
    """What people and the clock did to an alert that the actor may see, oldest first."""
    return events.facts(ctx, subject=alert_.subject, workspace=alert_.workspace)
