"""Reading the log."""

from __future__ import annotations

from collections.abc import Sequence

from doubleloop.base import record
from doubleloop.db.context import Ctx
from doubleloop.events import model, signing, store, verifying


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
    query = model.Query(tuple(types), subject, workspaces=None if workspace is None else (workspace,))
    return store.select(ctx, query, after=after, newest_first=newest_first, limit=limit)


def audit(
    ctx: Ctx, query: model.Query | None = None, *, cursor: int = 0, newest_first: bool = True, limit: int = 100
) -> list[model.Fact]:
    """A page of the log for people; ``cursor`` is the sequence number that the page before ended with.

    The caller permits it (``audit.read``): identity stands above.
    """
    after, before = (0, cursor or None) if newest_first else (cursor, None)
    return store.select(ctx, query, after=after, before=before, newest_first=newest_first, limit=limit)


def head(ctx: Ctx) -> tuple[int, str]:
    """Sequence number and seal of the newest fact."""
    return store.head(ctx)


def checkpoints(ctx: Ctx, *, after: int = 0, limit: int = 100) -> list[record.Checkpoint]:
    """Oldest first."""
    return store.checkpoints(ctx, after=after, limit=limit)


def last_checkpoint(ctx: Ctx) -> record.Checkpoint | None:
    return store.last_checkpoint(ctx)


def cuts(ctx: Ctx) -> list[model.Cut]:
    """What was archived, oldest first."""
    return store.cuts(ctx)


def public_key(ctx: Ctx) -> str:
    """The key that checkpoints and exports are signed by, base64."""
    return signing.public_key(ctx)


def verify(ctx: Ctx, given: Sequence[record.Checkpoint] = ()) -> model.ChainReport:
    """Prove the whole log; ``given``: checkpoints that were kept elsewhere."""
    return verifying.verify(ctx, given)
