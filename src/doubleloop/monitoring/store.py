"""Tables of monitors, runs, values and alerts."""

from __future__ import annotations

import json
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
)
_JSON = {"document", "signals", "columns", "details"}


def _read(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {key: json.loads(value) if key in _JSON else value for key, value in row._mapping.items()}


def _write(values: dict[str, Any]) -> dict[str, Any]:
    return {key: canonical.dumps(value) if key in _JSON else value for key, value in values.items()}


def _of(table: sa.Table, workspace: str, name: str) -> sa.ColumnElement[bool]:
    column = table.c.name if "name" in table.c else table.c.monitor
    return sa.and_(table.c.workspace == workspace, column == name)


def monitor(ctx: Ctx, workspace: str, name: str) -> model.Monitor | None:
    row = ctx.tx.execute(sa.select(MONITORS).where(_of(MONITORS, workspace, name))).one_or_none()
    return model.Monitor(**_read(row)) if row else None


def monitors(ctx: Ctx, workspace: str | None = None) -> list[model.Monitor]:
    query = sa.select(MONITORS).order_by(MONITORS.c.workspace, MONITORS.c.name)
    if workspace is not None:
        query = query.where(MONITORS.c.workspace == workspace)
    return [model.Monitor(**_read(row)) for row in ctx.tx.execute(query)]


def due(ctx: Ctx, now: datetime) -> list[model.Monitor]:
    query = sa.select(MONITORS).where(MONITORS.c.enabled.is_(True), MONITORS.c.next_at <= now)
    return [model.Monitor(**_read(row)) for row in ctx.tx.execute(query)]


def put_monitor(ctx: Ctx, monitor_: model.Monitor) -> None:
    delete_monitor(ctx, monitor_.workspace, monitor_.name)
    ctx.tx.execute(MONITORS.insert().values(**_write(vars(monitor_))))


def update_monitor(ctx: Ctx, workspace: str, name: str, **values: Any) -> None:
    ctx.tx.execute(MONITORS.update().where(_of(MONITORS, workspace, name)).values(**_write(values)))


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


def open_alert(ctx: Ctx, workspace: str, name: str, signal: str, metric: str) -> model.Alert | None:
    query = sa.select(ALERTS).where(
        _of(ALERTS, workspace, name), ALERTS.c.signal == signal, ALERTS.c.metric == metric,
        ALERTS.c.resolved_at.is_(None),
    )  # fmt: skip
    row = ctx.tx.execute(query).first()
    return model.Alert(**_read(row)) if row else None


def alerts(ctx: Ctx, workspace: str | None, name: str | None, only_open: bool, limit: int) -> list[model.Alert]:
    query = sa.select(ALERTS).order_by(ALERTS.c.raised_at.desc()).limit(limit)
    if workspace is not None:
        query = query.where(ALERTS.c.workspace == workspace)
    if name is not None:
        query = query.where(ALERTS.c.monitor == name)
    if only_open:
        query = query.where(ALERTS.c.resolved_at.is_(None))
    return [model.Alert(**_read(row)) for row in ctx.tx.execute(query)]


def insert_alert(ctx: Ctx, alert: model.Alert) -> None:
    ctx.tx.execute(ALERTS.insert().values(**_write(vars(alert))))


def resolve_alert(ctx: Ctx, id_: str) -> None:
    ctx.tx.execute(ALERTS.update().where(ALERTS.c.id == id_).values(resolved_at=ctx.now))
