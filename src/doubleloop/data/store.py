"""Datastores, which are names for places that paths are relative to, and what was fetched from addresses."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
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

# ``key`` is the hash of an address: what is private to a workspace is fetched for it alone.
FETCHED = sa.Table(
    "fetched_addresses",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("modified", sa.Text, nullable=False),
    sa.Column("fetched_at", tables.Moment, nullable=False),
)


@dataclass(frozen=True)
class Fetched:
    """``etag`` and ``modified`` are what the server said of what was fetched; empty when it said nothing."""

    reference: str
    etag: str
    modified: str


def fetched(ctx: Ctx, workspace: str, key: str) -> Fetched | None:
    where = sa.and_(FETCHED.c.workspace == workspace, FETCHED.c.key == key)
    row = ctx.tx.execute(sa.select(FETCHED).where(where)).one_or_none()
    return Fetched(row.reference, row.etag, row.modified) if row else None


def put_fetched(ctx: Ctx, workspace: str, key: str, reference: str, etag: str, modified: str) -> None:
    where = sa.and_(FETCHED.c.workspace == workspace, FETCHED.c.key == key)
    values = {"reference": reference, "etag": etag, "modified": modified, "fetched_at": ctx.now}
    if ctx.tx.execute(FETCHED.update().where(where).values(**values)).rowcount:
        return
    with contextlib.suppress(sa.exc.IntegrityError), ctx.tx.begin_nested():  # somebody else fetched the same
        ctx.tx.execute(FETCHED.insert().values(workspace=workspace, key=key, **values))


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
