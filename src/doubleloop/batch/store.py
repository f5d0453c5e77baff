"""Tables of batch endpoints, deployments and invocations."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.batch import model
from doubleloop.db import tables
from doubleloop.db.context import Ctx

ENDPOINTS = sa.Table(
    "batch_endpoints",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("auth_mode", sa.String(20), nullable=False),
    sa.Column("default_deployment", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
DEPLOYMENTS = sa.Table(
    "batch_deployments",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("endpoint", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("id", sa.String(255), nullable=False, unique=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("model_name", sa.String(255), nullable=False),
    sa.Column("model_version", sa.String(255), nullable=False),
    sa.Column("model_id", sa.String(512), nullable=False),
    sa.Column("model_reference", sa.String(600), nullable=False),
    sa.Column("no_code", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
INVOCATIONS = sa.Table(
    "batch_invocations",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(255), nullable=False, unique=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("deployment", sa.String(255), nullable=False),
    sa.Column("deployment_id", sa.String(255), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Index("ix_batch_invocations_workspace_endpoint", "workspace", "endpoint"),
)
_JSON = {"tags", "spec"}


def _values(values: dict[str, Any]) -> dict[str, Any]:
    return {key: canonical.dumps(value) if key in _JSON else value for key, value in values.items()}


def _read(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        key: json.loads(value) if key in _JSON else value for key, value in row._mapping.items() if key != "seq"
    }  # fmt: skip


def _is(table: sa.Table, workspace: str, **keys: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.workspace == workspace, *(table.c[key] == value for key, value in keys.items()))


def endpoint(ctx: Ctx, workspace: str, name: str) -> model.Endpoint | None:
    row = ctx.tx.execute(sa.select(ENDPOINTS).where(_is(ENDPOINTS, workspace, name=name))).one_or_none()
    return model.Endpoint(**_read(row)) if row else None


def endpoints(ctx: Ctx, workspace: str) -> list[model.Endpoint]:
    query = sa.select(ENDPOINTS).where(ENDPOINTS.c.workspace == workspace).order_by(ENDPOINTS.c.name)
    return [model.Endpoint(**_read(row)) for row in ctx.tx.execute(query)]


def insert_endpoint(ctx: Ctx, made: model.Endpoint) -> None:
    ctx.tx.execute(ENDPOINTS.insert().values(**_values(vars(made))))


def update_endpoint(ctx: Ctx, workspace: str, name: str, **values: Any) -> None:
    ctx.tx.execute(ENDPOINTS.update().where(_is(ENDPOINTS, workspace, name=name)).values(**_values(values)))


def delete_endpoint(ctx: Ctx, workspace: str, name: str) -> None:
    """With its deployments; the record of invocations stays."""
    ctx.tx.execute(DEPLOYMENTS.delete().where(_is(DEPLOYMENTS, workspace, endpoint=name)))
    ctx.tx.execute(ENDPOINTS.delete().where(_is(ENDPOINTS, workspace, name=name)))


def _deployment(row: sa.Row[tuple[Any, ...]]) -> model.Deployment:
    values = _read(row)
    return model.Deployment(**{**values, "kind": model.Kind(values["kind"])})


def deployments(ctx: Ctx, workspace: str, endpoint_: str) -> list[model.Deployment]:
    query = sa.select(DEPLOYMENTS).where(_is(DEPLOYMENTS, workspace, endpoint=endpoint_)).order_by(DEPLOYMENTS.c.name)
    return [_deployment(row) for row in ctx.tx.execute(query)]


def put_deployment(ctx: Ctx, made: model.Deployment) -> None:
    delete_deployment(ctx, made.workspace, made.endpoint, made.name)
    ctx.tx.execute(DEPLOYMENTS.insert().values(**_values({**vars(made), "kind": made.kind.value})))


def delete_deployment(ctx: Ctx, workspace: str, endpoint_: str, name: str) -> None:
    ctx.tx.execute(DEPLOYMENTS.delete().where(_is(DEPLOYMENTS, workspace, endpoint=endpoint_, name=name)))


def invocation(ctx: Ctx, job: str) -> model.Invocation | None:
    row = ctx.tx.execute(sa.select(INVOCATIONS).where(INVOCATIONS.c.job == job)).one_or_none()
    return model.Invocation(**_read(row)) if row else None


def invocations(ctx: Ctx, workspace: str, endpoint_: str, deployment: str | None = None) -> list[model.Invocation]:
    """Newest first."""
    keys = {"endpoint": endpoint_, **({"deployment": deployment} if deployment else {})}
    query = sa.select(INVOCATIONS).where(_is(INVOCATIONS, workspace, **keys)).order_by(INVOCATIONS.c.seq.desc())
    return [model.Invocation(**_read(row)) for row in ctx.tx.execute(query)]


def insert_invocation(ctx: Ctx, made: model.Invocation) -> None:
    ctx.tx.execute(INVOCATIONS.insert().values(**vars(made)))
