"""The life of an alert: what runs find opens and closes it; people acknowledge, silence, resolve and reopen it.

Every change is a fact of whoever made it. An alert is one episode of one metric: while it is not over, nothing opens
another one of the same monitor, signal and metric.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from doubleloop.base import clock, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.monitoring import model, rules, store
from doubleloop.monitoring.model import AlertState
from doubleloop.specs import documents

MAX_COMMENT = 4000


def acknowledge(ctx: Ctx, id_: str, comment: str = "") -> model.Alert:
    """Say that somebody looks after it. Raises NotFound, NotPermitted, and Conflict when it is resolved."""
    found = _theirs(ctx, id_, comment)
    _not_resolved(found, "acknowledged")
    if found.state is AlertState.ACKNOWLEDGED:
        return found
    return _change(ctx, found, AlertState.ACKNOWLEDGED, "alert.acknowledged", comment, silenced_until=None)


def silence(
    ctx: Ctx, id_: str, *, until: datetime | None = None, length: timedelta | None = None, comment: str = ""
) -> model.Alert:
    """Keep quiet about the metric until then, also when it goes and comes again. Raises InvalidInput without a time
    to come, and as ``acknowledge``."""
    end = rules.silence_end(until, length, ctx.now)
    found = _theirs(ctx, id_, comment)
    _not_resolved(found, "silenced")
    return _change(
        ctx, found, AlertState.SILENCED, "alert.silenced", comment, told={"until": clock.iso(end)}, silenced_until=end
    )


def resolve(ctx: Ctx, id_: str, comment: str = "") -> model.Alert:
    """Say that it is mended: the next run that finds it bad still opens it again. A second time changes nothing."""
    found = _theirs(ctx, id_, comment)
    if found.state is AlertState.RESOLVED:
        return found
    return _change(ctx, found, AlertState.RESOLVED, "alert.resolved", comment, resolved_at=ctx.now, silenced_until=None)


def reopen(ctx: Ctx, id_: str, comment: str = "") -> model.Alert:
    """Take back that it was acknowledged, silenced or resolved. Raises Conflict when a newer alert took its place."""
    found = _theirs(ctx, id_, comment)
    if found.state is AlertState.OPEN:
        return found
    newest = store.last_alert(ctx, found.workspace, found.monitor, found.signal, found.metric)
    if newest is not None and newest.id != found.id:
        raise errors.Conflict(f"The newer alert {newest.id} is about the same metric", cure="Look after that one.")
    return _change(
        ctx, found, AlertState.OPEN, "alert.reopened", comment, resolved_at=None, cleared_at=None, silenced_until=None
    )


def _theirs(ctx: Ctx, id_: str, comment: str) -> model.Alert:
    """The alert, locked, for somebody who may change it; one of another workspace is none."""
    things.permit_some(ctx, Action.ALERT_WRITE, "monitor")
    found = store.alert(ctx, id_, lock=True)
    if found is None or ctx.workspace not in (None, found.workspace):
        raise errors.NotFound(f"There is no alert {id_}", cure="`doubleloop alert list` shows those that there are.")
    identity.permit(ctx, Action.ALERT_WRITE, found.workspace, f"monitor/{found.monitor}")
    if len(comment) > MAX_COMMENT:
        raise errors.InvalidInput(f"The comment is longer than {MAX_COMMENT} characters", cure="Shorten it.")
    return found


def _not_resolved(found: model.Alert, verb: str) -> None:
    if found.state is AlertState.RESOLVED:
        raise errors.Conflict(f"The alert {found.id} is resolved, so it cannot be {verb}", cure="Reopen it first.")


def _change(
    ctx: Ctx, found: model.Alert, state: AlertState, fact: str, comment: str = "", *, why: str = "",
    told: dict[str, Any] | None = None, **values: Any,
) -> model.Alert:  # fmt: skip
    said = {"state": state, "changed_by": ctx.actor.id, "changed_at": ctx.now, "comment": comment.strip(), **values}
    store.update_alert(ctx, found.id, **{**said, "state": state.value})
    changed = replace(found, **said)
    body = {"before": found.state.value, "comment": said["comment"], "why": why, **(told or {})}
    events.record(
        ctx.in_workspace(found.workspace), fact, found.subject, **about(changed),
        **{key: value for key, value in body.items() if value},
    )  # fmt: skip
    return changed


def about(alert: model.Alert) -> dict[str, Any]:
    """What every fact about an alert says of it."""
    return {
        "alert": alert.id, "monitor": alert.monitor, "endpoint": alert.details.get("endpoint", ""),
        "signal": alert.signal, "signal_type": alert.signal_type, "metric": alert.metric, "kind": alert.kind.value,
        "severity": alert.severity, "tell": list(alert.details.get("tell", ())),
        "emails": list(alert.details.get("emails", ())), "columns": alert.columns,
        "value": alert.last_value if alert.last_value is not None else alert.value, "threshold": alert.threshold,
    }  # fmt: skip


def silences_over(ctx: Ctx) -> bool:
    return bool(store.silences_over(ctx, ctx.now))


def next_silence_end(ctx: Ctx) -> datetime | None:
    return store.next_silence_end(ctx)


def end_silences(ctx: Ctx) -> list[model.Alert]:
    """What was silenced until now, and is not over, is open again."""
    return [
        _change(ctx, each, AlertState.OPEN, "alert.reopened", why="its silence is over", silenced_until=None)
        for each in store.silences_over(ctx, ctx.now)
    ]


def follow(
    ctx: Ctx, run: model.MonitorRun, monitor: model.Monitor, result: dict[str, Any], results: Sequence[dict[str, Any]]
) -> None:
    """What a run found of one signal, for the alert of each of its metrics: opened once, seen again, closed.

    ``results`` are those of all signals: one that cannot tell itself what moved (the errors of a model grew) tells what
    the others saw moving.
    """
    _let_go_of_metrics(ctx, run, result)
    result = {**result, **_moving(result, results), **_examples(result, results)}
    chosen = rules.policy(documents.from_wire(monitor.document).model.create_monitor.alert_policy)
    for metric in dict.fromkeys(each["metric"] for each in result["metrics"]):
        values = [each for each in result["metrics"] if each["metric"] == metric and each["value"] is not None]
        if not values:
            continue  # nothing was learnt: an open alert stays open
        crossed = [each for each in values if each["alert"]] if result["status"] == "alert" else []
        windows = store.crossings(ctx, run, result["signal"], metric, chosen.of) if chosen.of > 1 else [bool(crossed)]
        last = store.last_alert(ctx, run.workspace, run.monitor, result["signal"], metric)
        standing = last if last is not None and last.cleared_at is None else None
        if standing is not None and standing.last_seen_at is not None and run.window_end < standing.last_seen_at:
            continue  # somebody looks back: an older window says nothing of what is bad now
        if not rules.stands(windows, chosen):
            _clear(ctx, run, standing)
        elif crossed and standing is None:
            _open(ctx, run, monitor, result, metric, crossed, chosen, last)
        elif crossed and standing is not None:
            _again(ctx, run, standing, crossed)


def let_go(ctx: Ctx, monitor: model.Monitor, signals: Collection[str], why: str) -> None:
    """End the alerts of signals that no run will look at again: all of the monitor's but those of ``signals``."""
    for each in store.standing_alerts(ctx, monitor.workspace, monitor.name):
        if each.signal in signals:
            continue
        if each.state is not AlertState.RESOLVED:
            _change(ctx, each, AlertState.RESOLVED, "alert.resolved", why=why, resolved_at=ctx.now, silenced_until=None)
        store.update_alert(ctx, each.id, cleared_at=ctx.now)


def _let_go_of_metrics(ctx: Ctx, run: model.MonitorRun, result: dict[str, Any]) -> None:
    """The same of metrics that the signal is asked for no more."""
    asked = {each["metric"] for each in result["metrics"]}
    if result["status"] == "not_checked":
        return
    for each in store.standing_alerts(ctx, run.workspace, run.monitor):
        if each.signal == result["signal"] and each.metric not in asked:
            _clear(ctx, run, each)


def _moving(result: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``moved`` and the signal that saw it: its own, or that of the first drift of the run."""
    if result["moved"] or rules.kind_of(result["type"]) is not model.AlertKind.MODEL:
        return {"moved": result["moved"], "moved_by": result["signal"]}
    other = next((each for kind in rules.DRIFTS for each in results if each["type"] == kind and each["moved"]), result)
    return {"moved": other["moved"], "moved_by": other["signal"]}


def _examples(result: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The worst examples and the signal that kept them: its own, or the first of the run's about the model."""
    if rules.kind_of(result["type"]) is not model.AlertKind.MODEL:
        return {"examples": (), "examples_of": ""}
    kept = next((each for each in (result, *results) if each.get("examples")), {})
    return {"examples": kept.get("examples", ()), "examples_of": kept.get("signal", "")}


def _clear(ctx: Ctx, run: model.MonitorRun, standing: model.Alert | None) -> None:
    if standing is None:
        return
    if standing.state is AlertState.RESOLVED:  # somebody said so, and a run agrees
        store.update_alert(ctx, standing.id, cleared_at=ctx.now)
        return
    store.update_alert(
        ctx, standing.id, state=AlertState.RESOLVED.value, resolved_at=ctx.now, cleared_at=ctx.now,
        changed_by=ctx.actor.id, changed_at=ctx.now, comment="",
    )  # fmt: skip
    events.record(
        ctx, "monitor.resolved", f"monitor:{run.workspace}/{run.monitor}", alert=standing.id, signal=standing.signal,
        metric=standing.metric, run=run.id,
    )  # fmt: skip


def _again(ctx: Ctx, run: model.MonitorRun, standing: model.Alert, crossed: list[dict[str, Any]]) -> None:
    """It is bad still: noted, and told only when somebody had called it resolved."""
    seen = {"last_value": _worst(crossed)["value"], "last_seen_at": run.window_end}
    if standing.state is AlertState.RESOLVED:
        found = replace(standing, **seen)
        why = f"run {run.id} found it bad still"
        _change(ctx, found, AlertState.OPEN, "alert.reopened", why=why, resolved_at=None, **seen)
    else:
        store.update_alert(ctx, standing.id, **seen)


def _worst(crossed: list[dict[str, Any]]) -> dict[str, Any]:
    return max(crossed, key=lambda each: abs(each["value"] - (each["threshold"] or 0.0)))


def _open(
    ctx: Ctx, run: model.MonitorRun, monitor: model.Monitor, result: dict[str, Any], metric: str,
    crossed: list[dict[str, Any]], chosen: model.AlertPolicy, last: model.Alert | None,
) -> None:  # fmt: skip
    worst, kind = _worst(crossed), rules.kind_of(result["type"])
    until = last.silenced_until if last and last.silenced_until and last.silenced_until > ctx.now else None
    alert = model.Alert(
        ids.derived(f"alert-{run.monitor[:30]}", run.id, result["signal"], metric), run.workspace, run.monitor,
        result["signal"], metric, [each["column"] for each in crossed if each["column"]], worst["value"],
        worst["threshold"], run.window_start, run.window_end, ctx.now, None,
        _details(run, monitor, result, crossed, chosen, kind), result["type"], kind, chosen.severity,
        AlertState.SILENCED if until else AlertState.OPEN, until, None, worst["value"], run.window_end, ctx.actor.id,
        ctx.now,
    )  # fmt: skip
    store.insert_alert(ctx, alert)
    if until is not None:
        why = "the metric is silenced"
        events.record(ctx, "alert.silenced", alert.subject, **about(alert), until=clock.iso(until), why=why, run=run.id)
        return
    events.record(
        ctx, "monitor.alert", f"monitor:{run.workspace}/{run.monitor}", **about(alert), deployment=monitor.deployment,
        run=run.id, window={"start": clock.iso(run.window_start), "end": clock.iso(run.window_end)},
        as_of=clock.iso(run.as_of), moved=[each["sentence"] for each in result["moved"][:3]],
        segments=alert.details["segments"], examples=[each["request"] for each in alert.details["examples"][:3]],
    )  # fmt: skip


def _details(
    run: model.MonitorRun, monitor: model.Monitor, result: dict[str, Any], crossed: list[dict[str, Any]],
    chosen: model.AlertPolicy, kind: model.AlertKind,
) -> dict[str, Any]:  # fmt: skip
    """``values`` that crossed, the columns and segments that ``moved`` most with their numbers, the worst ``examples``,
    and what was asked."""
    written = documents.from_wire(monitor.document).model.create_monitor
    signals = written.monitoring_signals or {}
    segment = getattr(signals.get(result["signal"]), "data_segment", None)
    return {
        "run": run.id, "endpoint": monitor.endpoint, "deployment": monitor.deployment, "values": crossed,
        "moved": result["moved"], "moved_by": result["moved_by"], "segments": rules.segments(result["moved"]),
        "examples": list(result["examples"]), "examples_of": result["examples_of"],
        "data_segment": {segment.feature_name: list(segment.feature_values)} if segment else None,
        "windows": chosen.windows, "of": chosen.of, "tell": list(rules.audience(kind, chosen)),
        "emails": rules.mailboxes(written.alert_notification),
        "rows": {"reference": result["reference_rows"], "production": result["production_rows"]},
    }  # fmt: skip


def states(names: Collection[str]) -> tuple[AlertState, ...]:
    """The states of these names. Raises InvalidInput."""
    known = [each.value for each in AlertState]
    for name in names:
        if name not in known:
            raise errors.InvalidInput(f"'{name[:80]}' is not a state of alerts", cure=f"Use {', '.join(known)}.")
    return tuple(AlertState(name) for name in names)
