"""Recording facts, and reading them in order with a place marker that moves in the reader's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doubleloop.db.context import Ctx
from doubleloop.events import model, store


def record(ctx: Ctx, type_: str, subject: str, **data: Any) -> model.Fact:
    """Append a fact in the caller's transaction. ``data`` must be JSON. Raises TypeError, ValueError otherwise."""
    return store.append(ctx, type_, subject, data)


def unread(ctx: Ctx, consumer: str, types: Sequence[str] = (), limit: int = 100) -> list[model.Fact]:
    """Facts after the consumer's marker, oldest first. Call ``advance`` in the same transaction as the reaction."""
    return store.select(ctx, after=store.cursor(ctx, consumer), types=types, limit=limit)


def advance(ctx: Ctx, consumer: str, seq: int) -> None:
    store.move_cursor(ctx, consumer, seq)
