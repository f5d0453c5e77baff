"""Reading the log, and proving that nobody changed it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from doubleloop.db.context import Ctx
from doubleloop.events import model, rules, store


def facts(
    ctx: Ctx,
    *,
    types: Sequence[str] = (),
    subject: str | None = None,
    workspace: str | None = None,
    after: int = 0,
    newest_first: bool = False,
    limit: int = 500,
) -> list[model.Fact]:
    return store.select(
        ctx,
        after=after,
        types=types,
        subject=subject,
        workspaces=None if workspace is None else [workspace],
        newest_first=newest_first,
        limit=limit,
    )


def audit(
    ctx: Ctx,
    *,
    types: Sequence[str] = (),
    subject: str | None = None,
    workspaces: Sequence[str] | None = None,
    actor: str | None = None,
    cursor: int = 0,
    newest_first: bool = True,
    limit: int = 100,
) -> list[model.Fact]:
    """A page of the log for people; ``cursor`` is the sequence number that the page before ended with.

    ``workspaces``: only theirs (default: all). The caller permits it (``audit.read``): identity stands above.
    """
    after, before = (0, cursor or None) if newest_first else (cursor, None)
    return store.select(
        ctx, after=after, before=before, types=types, subject=subject, workspaces=workspaces, actor=actor,
        newest_first=newest_first, limit=limit,
    )  # fmt: skip


def head(ctx: Ctx) -> tuple[int, str]:
    """Sequence number and seal of the newest fact."""
    return store.head(ctx)


def verify(ctx: Ctx, batch: int = 1000) -> model.ChainReport:
    """Recompute every seal from the first fact on, from the bytes that are stored; constant memory."""
    seq, previous = 0, model.GENESIS
    while True:
        try:
            rows = store.written(ctx, seq, batch)
        except (sa.exc.DBAPIError, ValueError):
            if batch == 1:
                return model.ChainReport(seq, previous, seq + 1, f"fact {seq + 1} cannot be read any more")
            batch = 1  # one of these: look at each by itself
            continue
        if not rows:
            break
        for row in rows:
            if row.seq != seq + 1:
                return model.ChainReport(seq, previous, seq + 1, f"fact {seq + 1} is missing")
            if not rules.holds(dict(row._mapping), previous):
                return model.ChainReport(seq, previous, row.seq, f"fact {row.seq} was changed after it was written")
            seq, previous = row.seq, row.hash
    head_seq, head_hash = store.head(ctx)
    if (head_seq, head_hash) != (seq, previous):
        return model.ChainReport(seq, previous, seq + 1, f"the log ends at {seq}, but its head says {head_seq}")
    return model.ChainReport(seq, previous)
