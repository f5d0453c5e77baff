"""Recording facts, and reading them in order with a place marker that moves in the reader's own transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from doubleloop.base import errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import mapping, model, store


def record(ctx: Ctx, type_: str, subject: str, **data: Any) -> model.Fact:
    """Append a fact in the caller's transaction. ``data`` must be JSON. Raises TypeError, ValueError otherwise.

    By which right and from where it was done is known from the context.
    """
    return store.append(ctx, type_, subject, data, mapping.context(ctx.actor, ctx.grants))


def deny(ctx: Ctx, subject: str, error: errors.DoubleloopError, claimed: str | None = None, **more: Any) -> model.Fact:
    """Somebody was refused. ``claimed``: who they said they are, at a login that failed; ``more``: how many others
    the entry stands for. Call it in a transaction of its own: the refused one has been rolled back.

    What the same request had been permitted before is left out: it did not permit this.
    """
    alone = dataclasses.replace(ctx, grants=[])
    said = {"claimed": claimed} if claimed is not None and ids.is_name(claimed) else {}
    return record(alone, model.DENIED, subject, why=error.what, details=error.details, **said, **more)


def unread(ctx: Ctx, consumer: str, types: Sequence[str] = (), limit: int = 100) -> list[model.Fact]:
    """Facts after the consumer's marker, oldest first. Call ``advance`` in the same transaction as the reaction."""
    query = model.Query(types=tuple(types))
    return store.select(ctx, query, after=store.cursor(ctx, consumer), limit=limit)


def advance(ctx: Ctx, consumer: str, seq: int) -> None:
    store.move_cursor(ctx, consumer, seq)
