"""Tables of endpoints and deployments; the single writer of a deployment's status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.endpoints import model
from doubleloop.events import commands as events

ENDPOINTS = sa.Table(
    "endpoints",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("auth_mode", sa.String(20), nullable=False),
    sa.Column("traffic", sa.Text, nullable=False),
    sa.Column("mirror_traffic", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("primary_generation", sa.Integer, nullable=False),
    sa.Column("secondary_generation", sa.Integer, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("slo", sa.Text),
)
DEPLOYMENTS = sa.Table(
    "deployments",
    tables.METADATA,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("workspace", sa.String(255), nullable=False, index=True),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("model_name", sa.String(255), nullable=False),
    sa.Column("model_version", sa.String(255), nullable=False),
    sa.Column("model_id", sa.String(512), nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("signature", sa.Text),
    sa.Column("environment_lock", sa.String(64), nullable=False),
    sa.Column("python", sa.Text, nullable=False),
    sa.Column("files", sa.Text, nullable=False),
    sa.Column("release", sa.String(255), index=True),
    sa.Column("all_traffic", sa.Boolean, nullable=False),
    sa.Column("notify", sa.String(255)),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("ready_at", tables.Moment),
    sa.Column("ended_at", tables.Moment),
)
_JSON = {"traffic", "mirror_traffic", "slo", "tags", "spec", "signature", "files"}


def _values(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: canonical.dumps(value) if key in _JSON and value is not None else value for key, value in values.items()
    }


def _read(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        key: json.loads(value) if key in _JSON and value is not None else value for key, value in row._mapping.items()
    }


def _endpoint_where(workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(ENDPOINTS.c.workspace == workspace, ENDPOINTS.c.name == name)


def endpoint(ctx: Ctx, workspace: str, name: str) -> model.Endpoint | None:
    row = ctx.tx.execute(sa.select(ENDPOINTS).where(_endpoint_where(workspace, name))).one_or_none()
    return model.Endpoint(**_read(row)) if row else None


def endpoints(ctx: Ctx, workspace: str | None = None) -> list[model.Endpoint]:
    query = sa.select(ENDPOINTS).order_by(ENDPOINTS.c.workspace, ENDPOINTS.c.name)
    if workspace is not None:
        query = query.where(ENDPOINTS.c.workspace == workspace)
    return [model.Endpoint(**_read(row)) for row in ctx.tx.execute(query)]


def insert_endpoint(ctx: Ctx, endpoint_: model.Endpoint) -> None:
    ctx.tx.execute(ENDPOINTS.insert().values(**_values(vars(endpoint_))))


def update_endpoint(ctx: Ctx, workspace: str, name: str, **values: Any) -> None:
    ctx.tx.execute(ENDPOINTS.update().where(_endpoint_where(workspace, name)).values(**_values(values)))


def delete_endpoint(ctx: Ctx, workspace: str, name: str) -> None:
    ctx.tx.execute(ENDPOINTS.delete().where(_endpoint_where(workspace, name)))


def _deployment(row: sa.Row[tuple[Any, ...]]) -> model.Deployment:
    values = _read(row)
    return model.Deployment(**{**values, "status": model.Status(values["status"])})


def deployment(ctx: Ctx, id_: str) -> model.Deployment | None:
    row = ctx.tx.execute(sa.select(DEPLOYMENTS).where(DEPLOYMENTS.c.id == id_)).one_or_none()
    return _deployment(row) if row else None


def deployments(
    ctx: Ctx,
    workspace: str | None = None,
    endpoint_: str | None = None,
    name: str | None = None,
    statuses: Sequence[model.Status] = (),
) -> list[model.Deployment]:
    """Oldest first."""
    query = sa.select(DEPLOYMENTS).order_by(DEPLOYMENTS.c.created_at, DEPLOYMENTS.c.id)
    for column, value in (("workspace", workspace), ("endpoint", endpoint_), ("name", name)):
        if value is not None:
            query = query.where(DEPLOYMENTS.c[column] == value)
    if statuses:
        query = query.where(DEPLOYMENTS.c.status.in_([status.value for status in statuses]))
    return [_deployment(row) for row in ctx.tx.execute(query)]


def served(ctx: Ctx, since: datetime, until: datetime) -> list[model.Deployment]:
    """Of every workspace: those that answered in ``since <= time < until``, oldest first."""
    ready, end = DEPLOYMENTS.c.ready_at, DEPLOYMENTS.c.ended_at
    over = DEPLOYMENTS.c.status.in_([each.value for each in model.OVER])
    there = sa.or_(end > since, sa.and_(end.is_(None), sa.not_(over)))
    query = sa.select(DEPLOYMENTS).where(ready < until, there).order_by(ready, DEPLOYMENTS.c.id)
    return [_deployment(row) for row in ctx.tx.execute(query)]


def insert_deployment(ctx: Ctx, deployment_: model.Deployment) -> None:
    ctx.tx.execute(DEPLOYMENTS.insert().values(**_values({**vars(deployment_), "status": deployment_.status.value})))


def update_deployment(ctx: Ctx, id_: str, **values: Any) -> None:
    assert "status" not in values, "switch_status writes it, with its fact"
    ctx.tx.execute(DEPLOYMENTS.update().where(DEPLOYMENTS.c.id == id_).values(**_values(values)))


def switch_status(ctx: Ctx, deployment_: model.Deployment, status: model.Status, **more: Any) -> bool:
    """Write a new status and its fact; False when the row had it already, or was deleted: nothing brings that back."""
    if status in model.OVER:  # once: what was replaced and is deleted later was over before
        more = {**more, "ended_at": deployment_.ended_at or ctx.now}
    changed = ctx.tx.execute(
        DEPLOYMENTS.update()
        .where(
            DEPLOYMENTS.c.id == deployment_.id,
            DEPLOYMENTS.c.status.not_in([status.value, model.Status.DELETED.value]),
        )
        .values(status=status.value, **_values(more))
    )
    if changed.rowcount == 0:
        return False
    events.record(
        ctx.in_workspace(deployment_.workspace), f"deployment.{status.value}", f"deployment:{deployment_.id}",
        endpoint=deployment_.endpoint, name=deployment_.name, model=deployment_.model_id,
        release=deployment_.release, error=more.get("error", ""),
    )  # fmt: skip
    return True
