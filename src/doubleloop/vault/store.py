"""The table of secrets' versions: everything but the value, and what the safe needs to find it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.vault.model import Secret, Version

VERSIONS = sa.Table(
    "secret_versions",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(127), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("safe", sa.String(20), nullable=False),
    sa.Column("kept", sa.Text, nullable=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("destroyed_at", tables.Moment, nullable=True),
)


@dataclass(frozen=True)
class Kept:
    """What the safe of that kind gave for a version."""

    name: str
    number: int
    safe: str
    kept: str = field(repr=False)


def _of(workspace: str | None, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(VERSIONS.c.workspace == workspace, VERSIONS.c.name == name)


def secrets(ctx: Ctx, name: str | None = None) -> list[Secret]:
    """Of the context's workspace, by name; those without any value left are among them."""
    query = sa.select(VERSIONS).where(VERSIONS.c.workspace == ctx.workspace)
    if name is not None:
        query = query.where(VERSIONS.c.name == name)
    found: dict[str, list[Version]] = {}
    for row in ctx.tx.execute(query.order_by(VERSIONS.c.name, VERSIONS.c.number.desc())):
        found.setdefault(row.name, []).append(_version(row))
    return [Secret(str(ctx.workspace), each, tuple(versions)) for each, versions in found.items()]


def _version(row: Any) -> Version:
    return Version(row.number, row.description, row.created_by, row.created_at, row.destroyed_at)


def secret(ctx: Ctx, name: str) -> Secret | None:
    return next(iter(secrets(ctx, name)), None)


def kept(ctx: Ctx, name: str | None = None) -> list[Kept]:
    """What is there to open in the context's workspace."""
    query = sa.select(VERSIONS).where(VERSIONS.c.workspace == ctx.workspace, VERSIONS.c.kept.is_not(None))
    if name is not None:
        query = query.where(VERSIONS.c.name == name)
    rows = ctx.tx.execute(query.order_by(VERSIONS.c.name, VERSIONS.c.number))
    return [Kept(row.name, row.number, row.safe, row.kept) for row in rows]


def add(ctx: Ctx, name: str, safe: str, value_kept: str, description: str) -> Version:
    """The next version; records ``secret.written``."""
    before = ctx.tx.execute(sa.select(sa.func.max(VERSIONS.c.number)).where(_of(ctx.workspace, name))).scalar()
    made = Version((before or 0) + 1, description, ctx.actor.id, ctx.now)
    ctx.tx.execute(
        VERSIONS.insert().values(
            workspace=ctx.workspace, name=name, number=made.number, safe=safe, kept=value_kept,
            description=description, created_by=made.created_by, created_at=made.created_at,
        )
    )  # fmt: skip
    events.record(ctx, "secret.written", f"secret:{ctx.workspace}/{name}", name=name, version=made.number)
    return made


def replace(ctx: Ctx, before: Kept, value_kept: str) -> bool:
    """The same value, locked anew; False when it was changed or destroyed meanwhile."""
    there = sa.and_(_of(ctx.workspace, before.name), VERSIONS.c.number == before.number, VERSIONS.c.kept == before.kept)
    return ctx.tx.execute(VERSIONS.update().where(there).values(kept=value_kept)).rowcount == 1


def destroy(ctx: Ctx, name: str) -> list[int]:
    """Forget what the safe gave, for every version; records ``secret.deleted``. The numbers are never used again."""
    there = sa.and_(_of(ctx.workspace, name), VERSIONS.c.destroyed_at.is_(None))
    numbers = list(ctx.tx.execute(sa.select(VERSIONS.c.number).where(there).order_by(VERSIONS.c.number)).scalars())
    ctx.tx.execute(VERSIONS.update().where(there).values(kept=None, destroyed_at=ctx.now))
    events.record(ctx, "secret.deleted", f"secret:{ctx.workspace}/{name}", name=name, versions=numbers)
    return numbers
