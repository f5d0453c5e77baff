"""The table of workspaces."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.identity.model import WorkspaceKind
from doubleloop.workspaces import model

WORKSPACES = sa.Table(
    "workspaces",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("is_registry", sa.Boolean, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
# What a set-up names beside workspaces: computes, budgets, notification targets.
DECLARATIONS = sa.Table(
    "declarations",
    tables.METADATA,
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)


def _workspace(row: sa.Row[tuple[object, ...]]) -> model.Workspace:
    return model.Workspace(
        row.name,
        WorkspaceKind(row.kind),
        row.description,
        row.is_registry,
        json.loads(row.settings),
        row.created_at,
    )


def get(ctx: Ctx, name: str) -> model.Workspace | None:
    row = ctx.tx.execute(sa.select(WORKSPACES).where(WORKSPACES.c.name == name)).one_or_none()
    return _workspace(row) if row else None


def select(ctx: Ctx) -> list[model.Workspace]:
    return [_workspace(row) for row in ctx.tx.execute(sa.select(WORKSPACES).order_by(WORKSPACES.c.name))]


def put(ctx: Ctx, workspace: model.Workspace) -> None:
    values = {
        "kind": workspace.kind.value,
        "description": workspace.description,
        "is_registry": workspace.is_registry,
        "settings": canonical.dumps(workspace.settings),
    }
    if ctx.tx.execute(WORKSPACES.update().where(WORKSPACES.c.name == workspace.name).values(**values)).rowcount == 0:
        ctx.tx.execute(WORKSPACES.insert().values(name=workspace.name, created_at=ctx.now, **values))


def remove(ctx: Ctx, name: str) -> bool:
    return ctx.tx.execute(WORKSPACES.delete().where(WORKSPACES.c.name == name)).rowcount > 0


def _declared(kind: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(DECLARATIONS.c.kind == kind, DECLARATIONS.c.name == name)


def declarations(ctx: Ctx, kind: str) -> dict[str, dict[str, Any]]:
    rows = ctx.tx.execute(sa.select(DECLARATIONS).where(DECLARATIONS.c.kind == kind).order_by(DECLARATIONS.c.name))
    return {row.name: json.loads(row.spec) for row in rows}


def put_declaration(ctx: Ctx, kind: str, name: str, spec: dict[str, Any]) -> None:
    values = {"spec": canonical.dumps(spec)}
    if ctx.tx.execute(DECLARATIONS.update().where(_declared(kind, name)).values(**values)).rowcount == 0:
        ctx.tx.execute(DECLARATIONS.insert().values(kind=kind, name=name, created_at=ctx.now, **values))


def remove_declaration(ctx: Ctx, kind: str, name: str) -> bool:
    return ctx.tx.execute(DECLARATIONS.delete().where(_declared(kind, name))).rowcount > 0
