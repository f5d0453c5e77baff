"""Tables of monitors, runs, values and alerts."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.monitoring import model

MONITORS = sa.Table(
    "monitors",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("deployment", sa.String(255), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("next_at", tables.Moment),
    sa.Column("last_at", tables.Moment),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
RUNS = sa.Table(
    "monitor_runs",
    tables.METADATA,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("monitor", sa.String(255), nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("as_of", tables.Moment, nullable=False),
    sa.Column("window_start", tables.Moment, nullable=False),
    sa.Column("window_end", tables.Moment, nullable=False),
    sa.Column("signals", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("started_at", tables.Moment, nullable=False),
    sa.Column("ended_at", tables.Moment),
    sa.Column("created_by", sa.String(255), nullable=False),
)
VALUES = sa.Table(
    "signal_values",
    tables.METADATA,
    sa.Column("run", sa.String(255), primary_key=True),
    sa.Column("signal", sa.String(255), primary_key=True),
    sa.Column("metric", sa.String(80), primary_key=True),
    sa.Column("column", sa.String(255), primary_key=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("monitor", sa.String(255), nullable=False, index=True),
    sa.Column("at", tables.Moment, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("threshold", sa.Float),
    sa.Column("alert", sa.Boolean, nullable=False),
)
ALERTS = sa.Table(
    "alerts",
    tables.METADATA,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("monitor", sa.String(255), nullable=False, index=True),
    sa.Column("signal", sa.String(255), nullable=False),
    sa.Column("metric", sa.String(80), nullable=False),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("threshold", sa.Float, nullable=False),
    sa.Column("window_start", tables.Moment, nullable=False),
    sa.Column("window_end", tables.Moment, nullable=False),
    sa.Column("raised_at", tables.Moment, nullable=False),
    sa.Column("resolved_at", tables.Moment),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("signal_type", sa.String(80), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("silenced_until", tables.Moment),
    sa.Column("cleared_at", tables.Moment),
    sa.Column("last_value", sa.Float),
    sa.Column("last_seen_at", tables.Moment),
    sa.Column("changed_by", sa.String(255), nullable=False),
    sa.Column("changed_at", tables.Moment),
    sa.Column("comment", sa.Text, nullable=False),
)
# What counters said at the newest run of a monitor: the next takes the difference.
SAMPLES = sa.Table(
    "monitor_samples",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("monitor", sa.String(255), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
_JSON = {"document", "signals", "columns", "details"}


def _read(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {key: json.loads(value) if key in _JSON else value for key, value in row._mapping.items()}


def _write(values: dict[str, Any]) -> dict[str, Any]:
    return {key: canonical.dumps(value) if key in _JSON else value for key, value in values.items()}


def _of(table: sa.Table, workspace: str, name: str) -> sa.ColumnElement[bool]:
    column = table.c.name if "name" in table.c else table.c.monitor
    return sa.and_(table.c.workspace == workspace, column == name)


def monitor(ctx: Ctx, workspace: str, name: str, *, lock: bool = False) -> model.Monitor | None:
    query = sa.select(MONITORS).where(_of(MONITORS, workspace, name))
    row = ctx.tx.execute(query.with_for_update() if lock else query).one_or_none()
    return model.Monitor(**_read(row)) if row else None


def monitors(ctx: Ctx, workspace: str | None = None) -> list[model.Monitor]:
    query = sa.select(MONITORS).order_by(MONITORS.c.workspace, MONITORS.c.name)
    if workspace is not None:
        query = query.where(MONITORS.c.workspace == workspace)
    return [model.Monitor(**_read(row)) for row in ctx.tx.execute(query)]


def due(ctx: Ctx, now: datetime) -> list[model.Monitor]:
    query = sa.select(MONITORS).where(MONITORS.c.enabled.is_(True), MONITORS.c.next_at <= now)
    return [model.Monitor(**_read(row)) for row in ctx.tx.execute(query)]


def next_at(ctx: Ctx) -> datetime | None:
    """When the next monitor falls due."""
    return ctx.tx.execute(sa.select(sa.func.min(MONITORS.c.next_at)).where(MONITORS.c.enabled.is_(True))).scalar()


def put_monitor(ctx: Ctx, monitor_: model.Monitor) -> None:
    delete_monitor(ctx, monitor_.workspace, monitor_.name)
    ctx.tx.execute(MONITORS.insert().values(**_write(vars(monitor_))))


def update_monitor(ctx: Ctx, workspace: str, name: str, **values: Any) -> None:
    ctx.tx.execute(MONITORS.update().where(_of(MONITORS, workspace, name)).values(**_write(values)))


def delete_sample(ctx: Ctx, workspace: str, name: str) -> None:
    ctx.tx.execute(SAMPLES.delete().where(_of(SAMPLES, workspace, name)))


def delete_monitor(ctx: Ctx, workspace: str, name: str) -> bool:
    return ctx.tx.execute(MONITORS.delete().where(_of(MONITORS, workspace, name))).rowcount > 0


def _run(row: sa.Row[tuple[Any, ...]]) -> model.MonitorRun:
    values = _read(row)
    return model.MonitorRun(**{**values, "status": model.RunStatus(values["status"])})


def run(ctx: Ctx, id_: str) -> model.MonitorRun | None:
    row = ctx.tx.execute(sa.select(RUNS).where(RUNS.c.id == id_)).one_or_none()
    return _run(row) if row else None


def runs(ctx: Ctx, workspace: str, name: str, limit: int) -> list[model.MonitorRun]:
    query = sa.select(RUNS).where(_of(RUNS, workspace, name)).order_by(RUNS.c.started_at.desc()).limit(limit)
    return [_run(row) for row in ctx.tx.execute(query)]


def running(ctx: Ctx) -> list[model.MonitorRun]:
    """Of every monitor."""
    query = sa.select(RUNS).where(RUNS.c.status == model.RunStatus.RUNNING.value).order_by(RUNS.c.started_at)
    return [_run(row) for row in ctx.tx.execute(query)]


def insert_run(ctx: Ctx, run_: model.MonitorRun) -> None:
    ctx.tx.execute(RUNS.insert().values(**_write({**vars(run_), "status": run_.status.value})))


def end_run(ctx: Ctx, id_: str, status: model.RunStatus, signals: list[dict[str, Any]], error: str) -> bool:
    """False when it had ended already."""
    changed = ctx.tx.execute(
        RUNS.update()
        .where(RUNS.c.id == id_, RUNS.c.status == model.RunStatus.RUNNING.value)
        .values(status=status.value, signals=canonical.dumps(signals), error=error, ended_at=ctx.now)
    )
    return changed.rowcount > 0


def insert_values(ctx: Ctx, rows: list[dict[str, Any]]) -> None:
    if rows:
        ctx.tx.execute(VALUES.insert(), rows)


def values(
    ctx: Ctx, workspace: str, name: str, signal: str | None, metric: str | None, column: str | None
) -> list[dict[str, Any]]:
    query = sa.select(VALUES).where(_of(VALUES, workspace, name)).order_by(VALUES.c.at)
    for field, wanted in (("signal", signal), ("metric", metric), ("column", column)):
        if wanted is not None:
            query = query.where(VALUES.c[field] == wanted)
    return [dict(row._mapping) for row in ctx.tx.execute(query)]


def crossings(ctx: Ctx, run_: model.MonitorRun, signal: str, metric: str, most: int) -> list[bool]:
    """Whether the metric crossed its threshold in the newest ``most`` windows up to the run's, newest first.

    Windows in which it could not be computed do not count; of runs over the same window the newest does.
    """
    query = (
        sa.select(VALUES.c.at, RUNS.c.started_at, sa.func.max(sa.cast(VALUES.c.alert, sa.Integer)))
        .join(RUNS, RUNS.c.id == VALUES.c.run)
        .where(
            _of(VALUES, run_.workspace, run_.monitor), VALUES.c.signal == signal, VALUES.c.metric == metric,
            VALUES.c.value.is_not(None), VALUES.c.at <= run_.as_of,
        )
        .group_by(VALUES.c.at, VALUES.c.run, RUNS.c.started_at)
        .order_by(VALUES.c.at.desc(), RUNS.c.started_at.desc())
    )  # fmt: skip
    found: dict[datetime, bool] = {}
    for at, _, crossed in ctx.tx.execute(query):
        found.setdefault(at, bool(crossed))
        if len(found) >= most:
            break
    return list(found.values())


def _alert(row: sa.Row[tuple[Any, ...]]) -> model.Alert:
    values = _read(row)
    kind, state = model.AlertKind(values["kind"]), model.AlertState(values["state"])
    return model.Alert(**{**values, "kind": kind, "state": state})


def alert(ctx: Ctx, id_: str, *, lock: bool = False) -> model.Alert | None:
    query = sa.select(ALERTS).where(ALERTS.c.id == id_)
    row = ctx.tx.execute(query.with_for_update() if lock else query).one_or_none()
    return _alert(row) if row else None


def last_alert(ctx: Ctx, workspace: str, name: str, signal: str, metric: str) -> model.Alert | None:
    """The newest alert of a metric, over or not."""
    query = sa.select(ALERTS).where(
        _of(ALERTS, workspace, name), ALERTS.c.signal == signal, ALERTS.c.metric == metric
    )  # fmt: skip
    row = ctx.tx.execute(query.order_by(ALERTS.c.raised_at.desc(), ALERTS.c.id.desc()).with_for_update()).first()
    return _alert(row) if row else None


def alerts(
    ctx: Ctx, workspace: str | None, name: str | None, states: Collection[model.AlertState], limit: int
) -> list[model.Alert]:
    """Newest first; without ``states`` all."""
    query = sa.select(ALERTS).order_by(ALERTS.c.raised_at.desc(), ALERTS.c.id.desc()).limit(limit)
    if workspace is not None:
        query = query.where(ALERTS.c.workspace == workspace)
    if name is not None:
        query = query.where(ALERTS.c.monitor == name)
    if states:
        query = query.where(ALERTS.c.state.in_([each.value for each in states]))
    return [_alert(row) for row in ctx.tx.execute(query)]


def standing_alerts(ctx: Ctx, workspace: str, name: str) -> list[model.Alert]:
    """Those of a monitor that no run has found good again."""
    query = sa.select(ALERTS).where(_of(ALERTS, workspace, name), ALERTS.c.cleared_at.is_(None))
    return [_alert(row) for row in ctx.tx.execute(query.order_by(ALERTS.c.id).with_for_update())]


def silences_over(ctx: Ctx, now: datetime) -> list[model.Alert]:
    """Silenced alerts whose time is over."""
    silenced = sa.and_(ALERTS.c.state == model.AlertState.SILENCED.value, ALERTS.c.silenced_until <= now)
    return [_alert(row) for row in ctx.tx.execute(sa.select(ALERTS).where(silenced).order_by(ALERTS.c.id))]


def next_silence_end(ctx: Ctx) -> datetime | None:
    silenced = ALERTS.c.state == model.AlertState.SILENCED.value
    return ctx.tx.execute(sa.select(sa.func.min(ALERTS.c.silenced_until)).where(silenced)).scalar()


def insert_alert(ctx: Ctx, alert_: model.Alert) -> None:
    ctx.tx.execute(
        ALERTS.insert().values(**_write({**vars(alert_), "kind": alert_.kind.value, "state": alert_.state.value}))
    )


def update_alert(ctx: Ctx, id_: str, **values: Any) -> None:
    ctx.tx.execute(ALERTS.update().where(ALERTS.c.id == id_).values(**values))


def sample(ctx: Ctx, workspace: str, name: str) -> dict[str, Any] | None:
    text = ctx.tx.execute(sa.select(SAMPLES.c.body).where(_of(SAMPLES, workspace, name))).scalar()
    return json.loads(text) if text is not None else None


def put_sample(ctx: Ctx, workspace: str, name: str, body: dict[str, Any]) -> None:
    ctx.tx.execute(SAMPLES.delete().where(_of(SAMPLES, workspace, name)))
    ctx.tx.execute(SAMPLES.insert().values(workspace=workspace, monitor=name, body=canonical.dumps(body)))
