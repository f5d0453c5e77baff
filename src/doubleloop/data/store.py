"""The table of datastores: names for places that paths are relative to."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx

DATASTORES = sa.Table(
    "datastores",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)


def _where(workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(DATASTORES.c.workspace == workspace, DATASTORES.c.name == name)


def datastore(ctx: Ctx, workspace: str, name: str) -> dict[str, Any] | None:
    text = ctx.tx.execute(sa.select(DATASTORES.c.spec).where(_where(workspace, name))).scalar()
    return json.loads(text) if text is not None else None


def datastores(ctx: Ctx, workspace: str) -> dict[str, dict[str, Any]]:
    rows = ctx.tx.execute(sa.select(DATASTORES).where(DATASTORES.c.workspace == workspace).order_by(DATASTORES.c.name))
    return {row.name: json.loads(row.spec) for row in rows}


def put_datastore(ctx: Ctx, workspace: str, name: str, spec: dict[str, Any]) -> None:
    values = {"spec": canonical.dumps(spec)}
    if ctx.tx.execute(DATASTORES.update().where(_where(workspace, name)).values(**values)).rowcount == 0:
        ctx.tx.execute(DATASTORES.insert().values(workspace=workspace, name=name, created_at=ctx.now, **values))


def remove_datastore(ctx: Ctx, workspace: str, name: str) -> bool:
    return ctx.tx.execute(DATASTORES.delete().where(_where(workspace, name))).rowcount > 0
