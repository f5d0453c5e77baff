"""Tables of facts, of what was signed, and of what was archived; the triggers of ``guards`` keep them as they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from doubleloop.base import canonical, record
from doubleloop.db import changes, tables
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
    sa.Column("context", sa.Text),
    sa.Index("ix_facts_actor_seq", "actor", "seq"),
    sa.Index("ix_facts_workspace_seq", "workspace", "seq"),
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


CHECKPOINTS = sa.Table(
    "fact_checkpoints",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("at", tables.Moment, nullable=False),
    sa.Column("public", sa.String(44), nullable=False),
    sa.Column("signature", sa.String(88), nullable=False),
)

# Facts up to ``seq`` may be removed once a cut is there: the trigger of the migration looks here.
CUTS = sa.Table(
    "fact_cuts",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("at", tables.Moment, nullable=False),
    sa.Column("file", sa.String(255), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("key", sa.String(16), nullable=False),
    sa.Column("signature", sa.String(88), nullable=False),
)


def append(
    ctx: Ctx, type_: str, subject: str, data: dict[str, object], context: dict[str, object] | None
) -> model.Fact:
    row = ctx.tx.execute(sa.select(CHAIN).with_for_update()).one_or_none()
    seq, previous = (row.seq + 1, row.hash) if row else (1, model.GENESIS)
    text, means = canonical.dumps(data), canonical.dumps(context) if context else None
    data, context = json.loads(text), json.loads(means) if means else None
    actor, now = ctx.actor.id, ctx.now
    digest = model.seal(previous, seq, type_, ctx.workspace, subject, actor, now, data, context)
    ctx.tx.execute(
        FACTS.insert().values(
            seq=seq, type=type_, workspace=ctx.workspace, subject=subject, actor=actor, at=now, previous=previous,
            hash=digest, data=text, context=means,
        )
    )  # fmt: skip
    if row:
        ctx.tx.execute(CHAIN.update().values(seq=seq, hash=digest))
    else:
        ctx.tx.execute(CHAIN.insert().values(id=1, seq=seq, hash=digest))
    changes.announce(ctx.tx)
    return model.Fact(seq, type_, ctx.workspace, subject, actor, now, data, previous, digest, context)


def _fact(row: sa.Row[tuple[object, ...]]) -> model.Fact:
    values = dict(row._mapping)
    context = json.loads(values["context"]) if values["context"] is not None else None
    return model.Fact(**{**values, "data": json.loads(values["data"]), "context": context})


def _begins(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """Equal to ``text``, or beginning with what stands before its ``*``."""
    return column.startswith(text[:-1], autoescape=True) if text.endswith("*") else column == text


def _wanted(query: model.Query) -> Iterator[sa.ColumnElement[bool]]:
    if query.types:
        yield sa.or_(*(_begins(FACTS.c.type, each) for each in query.types))
    if query.subject is not None:
        yield _begins(FACTS.c.subject, query.subject)
    if query.actor is not None:
        yield FACTS.c.actor == query.actor
    if query.action is not None:
        said = f'"action":{canonical.dumps(query.action)}'
        refused = sa.and_(FACTS.c.type == model.DENIED, FACTS.c.data.contains(said, autoescape=True))
        yield sa.or_(FACTS.c.context.contains(said, autoescape=True), refused)
    if query.outcome is not None:
        yield FACTS.c.type == model.DENIED if query.outcome == "refused" else FACTS.c.type != model.DENIED
    if query.workspaces is not None:
        yield FACTS.c.workspace.in_(query.workspaces)
    if query.since is not None:
        yield FACTS.c.at >= query.since
    if query.until is not None:
        yield FACTS.c.at < query.until


def select(
    ctx: Ctx,
    query: model.Query | None = None,
    *,
    after: int = 0,
    before: int | None = None,
    newest_first: bool = False,
    limit: int = 500,
) -> list[model.Fact]:
    """``after`` and ``before`` are sequence numbers, outside of what is returned."""
    found = sa.select(FACTS).where(FACTS.c.seq > after, *_wanted(query or model.Query()))
    if before is not None:
        found = found.where(FACTS.c.seq < before)
    order = FACTS.c.seq.desc() if newest_first else FACTS.c.seq
    return [_fact(row) for row in ctx.tx.execute(found.order_by(order).limit(limit))]


def written(
    ctx: Ctx, after: int, limit: int, query: model.Query | None = None, upto: int | None = None
) -> list[sa.Row[tuple[object, ...]]]:
    """Rows as they lie in the database, times, data and contexts as the text they are. Raises DBAPIError for one that
    cannot even be read."""
    columns = [sa.type_coerce(each, sa.Text).label(each.name) if each.name == "at" else each for each in FACTS.c]
    found = sa.select(*columns).where(FACTS.c.seq > after, *_wanted(query or model.Query()))
    if upto is not None:
        found = found.where(FACTS.c.seq <= upto)
    return list(ctx.tx.execute(found.order_by(FACTS.c.seq).limit(limit)))


def head(ctx: Ctx) -> tuple[int, str]:
    row = ctx.tx.execute(sa.select(CHAIN)).one_or_none()
    return (row.seq, row.hash) if row else (0, model.GENESIS)


def cursor(ctx: Ctx, consumer: str) -> int:
    return ctx.tx.execute(sa.select(CURSORS.c.seq).where(CURSORS.c.consumer == consumer)).scalar() or 0


def move_cursor(ctx: Ctx, consumer: str, seq: int) -> None:
    changed = ctx.tx.execute(CURSORS.update().where(CURSORS.c.consumer == consumer).values(seq=seq))
    if changed.rowcount == 0:
        ctx.tx.execute(CURSORS.insert().values(consumer=consumer, seq=seq))


def slowest_cursor(ctx: Ctx) -> int | None:
    """Where the reader is that is farthest behind; None when nobody reads."""
    return ctx.tx.execute(sa.select(sa.func.min(CURSORS.c.seq))).scalar()


def add_checkpoint(ctx: Ctx, made: record.Checkpoint) -> None:
    values = {"seq": made.seq, "hash": made.hash, "at": made.at, "public": made.public, "signature": made.signature}
    ctx.tx.execute(CHECKPOINTS.insert().values(**values))


def checkpoints(ctx: Ctx, *, after: int = 0, limit: int | None = None) -> list[record.Checkpoint]:
    query = sa.select(CHECKPOINTS).where(CHECKPOINTS.c.seq > after).order_by(CHECKPOINTS.c.seq).limit(limit)
    return [record.Checkpoint(**row._mapping) for row in ctx.tx.execute(query)]


def last_checkpoint(ctx: Ctx) -> record.Checkpoint | None:
    row = ctx.tx.execute(sa.select(CHECKPOINTS).order_by(CHECKPOINTS.c.seq.desc()).limit(1)).one_or_none()
    return record.Checkpoint(**row._mapping) if row else None


def cuts(ctx: Ctx) -> list[model.Cut]:
    """Oldest first."""
    return [model.Cut(**row._mapping) for row in ctx.tx.execute(sa.select(CUTS).order_by(CUTS.c.seq))]


def last_before(ctx: Ctx, when: datetime) -> tuple[int, str] | None:
    """Number and seal of the newest fact before which, itself included, everything is older than ``when``."""
    younger = sa.select(sa.func.min(FACTS.c.seq)).where(FACTS.c.at >= when).scalar_subquery()
    row = ctx.tx.execute(
        sa.select(FACTS.c.seq, FACTS.c.hash)
        .where(FACTS.c.at < when, sa.or_(younger.is_(None), FACTS.c.seq < younger))
        .order_by(FACTS.c.seq.desc())
        .limit(1)
    ).one_or_none()
    return (row.seq, row.hash) if row else None


def seal_of(ctx: Ctx, seq: int) -> str | None:
    return ctx.tx.execute(sa.select(FACTS.c.hash).where(FACTS.c.seq == seq)).scalar()


def cut(ctx: Ctx, made: model.Cut) -> int:
    """Remove what the cut has archived; returns how many facts that were."""
    ctx.tx.execute(CUTS.insert().values(**dataclasses.asdict(made)))
    return ctx.tx.execute(FACTS.delete().where(FACTS.c.seq <= made.seq)).rowcount
