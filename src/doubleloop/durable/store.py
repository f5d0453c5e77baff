"""The outbox: intents that commands wrote and the worker has not yet handed to the engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import changes, tables
from doubleloop.db.context import Ctx

OUTBOX = sa.Table(
    "durable_outbox",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("workflow_id", sa.String(200), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("key", sa.String(300)),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Intent:
    """``name`` is the workflow's name for ``start``, the topic for ``signal``, empty for ``cancel``."""

    seq: int
    kind: str
    workflow_id: str
    name: str
    payload: Any
    key: str | None


def add(ctx: Ctx, kind: str, workflow_id: str, name: str, payload: Any, key: str | None = None) -> None:
    ctx.tx.execute(
        OUTBOX.insert().values(kind=kind, workflow_id=workflow_id, name=name, payload=canonical.dumps(payload), key=key)
    )
    changes.announce(ctx.tx)


def pending(ctx: Ctx, limit: int = 100) -> list[Intent]:
    rows = ctx.tx.execute(sa.select(OUTBOX).order_by(OUTBOX.c.seq).limit(limit))
    return [Intent(r.seq, r.kind, r.workflow_id, r.name, json.loads(r.payload), r.key) for r in rows]


def waiting_to_start(ctx: Ctx) -> set[str]:
    """Ids of workflows that the engine has not been told of yet."""
    return set(ctx.tx.execute(sa.select(OUTBOX.c.workflow_id).where(OUTBOX.c.kind == "start")).scalars())


def remove(ctx: Ctx, seqs: list[int]) -> None:
    ctx.tx.execute(OUTBOX.delete().where(OUTBOX.c.seq.in_(seqs)))
