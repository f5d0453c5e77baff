"""Tables of facts. The triggers of the migration refuse UPDATE and DELETE on them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import model

FACTS = sa.Table(
    "facts",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(80), nullable=False, index=True),
    sa.Column("workspace", sa.String(255)),
    sa.Column("subject", sa.String(512), nullable=False, index=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("at", tables.Moment, nullable=False, index=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

# One row. Its update is the lock that puts facts in one order on every database.
CHAIN = sa.Table(
    "fact_chain",
    tables.METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

CURSORS = sa.Table(
    "fact_cursors",
    tables.METADATA,
    sa.Column("consumer", sa.String(80), primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
)


def append(ctx: Ctx, type_: str, subject: str, data: dict[str, object]) -> model.Fact:
    row = ctx.tx.execute(sa.select(CHAIN).with_for_update()).one_or_none()
    seq, previous = (row.seq + 1, row.hash) if row else (1, model.GENESIS)
    text = canonical.dumps(data)
    data = json.loads(text)
    digest = model.seal(previous, seq, type_, ctx.workspace, subject, ctx.actor.id, ctx.now, data)
    fact = model.Fact(seq, type_, ctx.workspace, subject, ctx.actor.id, ctx.now, data, previous, digest)
    ctx.tx.execute(
        FACTS.insert().values(
            seq=seq, type=type_, workspace=ctx.workspace, subject=subject, actor=ctx.actor.id, at=ctx.now,
            data=text, previous=previous, hash=digest,
        )
    )  # fmt: skip
    if row:
        ctx.tx.execute(CHAIN.update().values(seq=seq, hash=digest))
    else:
        ctx.tx.execute(CHAIN.insert().values(id=1, seq=seq, hash=digest))
    return fact


def _fact(row: sa.Row[tuple[object, ...]]) -> model.Fact:
    values = dict(row._mapping)
    return model.Fact(**{**values, "data": json.loads(values["data"])})


def select(
    ctx: Ctx,
    *,
    after: int = 0,
    types: Sequence[str] = (),
    subject: str | None = None,
    workspaces: Sequence[str] | None = None,
    actor: str | None = None,
    before: int | None = None,
    newest_first: bool = False,
    limit: int = 500,
) -> list[model.Fact]:
    query = sa.select(FACTS).where(FACTS.c.seq > after)
    if before is not None:
        query = query.where(FACTS.c.seq < before)
    if actor is not None:
        query = query.where(FACTS.c.actor == actor)
    if types:
        query = query.where(FACTS.c.type.in_(types))
    if subject is not None:
        query = query.where(FACTS.c.subject == subject)
    if workspaces is not None:
        query = query.where(FACTS.c.workspace.in_(workspaces))
    order = FACTS.c.seq.desc() if newest_first else FACTS.c.seq
    return [_fact(row) for row in ctx.tx.execute(query.order_by(order).limit(limit))]


def written(ctx: Ctx, after: int, limit: int) -> list[sa.Row[tuple[object, ...]]]:
    """Rows as they lie in the database, times and data as the text they are. Raises DBAPIError for one that cannot
    even be read."""
    columns = [sa.type_coerce(each, sa.Text).label(each.name) if each.name == "at" else each for each in FACTS.c]
    query = sa.select(*columns).where(FACTS.c.seq > after).order_by(FACTS.c.seq).limit(limit)
    return list(ctx.tx.execute(query))


def head(ctx: Ctx) -> tuple[int, str]:
    row = ctx.tx.execute(sa.select(CHAIN)).one_or_none()
    return (row.seq, row.hash) if row else (0, model.GENESIS)


def cursor(ctx: Ctx, consumer: str) -> int:
    return ctx.tx.execute(sa.select(CURSORS.c.seq).where(CURSORS.c.consumer == consumer)).scalar() or 0


def move_cursor(ctx: Ctx, consumer: str, seq: int) -> None:
    changed = ctx.tx.execute(CURSORS.update().where(CURSORS.c.consumer == consumer).values(seq=seq))
    if changed.rowcount == 0:
        ctx.tx.execute(CURSORS.insert().values(consumer=consumer, seq=seq))
