"""The table of locks: what every digest that a record names stands for, kept as long as the record is."""

from __future__ import annotations

import json

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.environments import model

LOCKS = sa.Table(
    "environment_locks",
    tables.METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("lock", sa.Text, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)


def lock(ctx: Ctx, digest: str) -> model.Lock | None:
    text = ctx.tx.execute(sa.select(LOCKS.c.lock).where(LOCKS.c.digest == digest)).scalar()
    return model.Lock.from_dict(json.loads(text)) if text is not None else None


def put_lock(ctx: Ctx, lock_: model.Lock) -> bool:
    """False when it was there."""
    if lock(ctx, lock_.digest) is not None:
        return False
    ctx.tx.execute(
        LOCKS.insert().values(digest=lock_.digest, lock=canonical.dumps(lock_.to_dict()), created_at=ctx.now)
    )
    return True
