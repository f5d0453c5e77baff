"""Which projects are worked on in a tool elsewhere, and when it is looked at next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db.context import Ctx
from doubleloop.labeling.store import LINKS


@dataclass(frozen=True)
class Link:
    """``remote``: the project's number there. ``problem``: why the last look failed; ``refused``: annotations that are
    no labels of the project, a line each. ``next_at`` None: it is not looked at any more."""

    workspace: str
    project: str
    remote: int | None
    next_at: datetime | None
    last_at: datetime | None
    problem: str
    refused: list[str]


def _key(workspace: str, project: str) -> sa.ColumnElement[bool]:
    return sa.and_(LINKS.c.workspace == workspace, LINKS.c.project == project)


def _link(row: sa.Row[tuple[Any, ...]]) -> Link:
    return Link(**{**row._mapping, "refused": json.loads(row.refused)})


def get(ctx: Ctx, workspace: str, project: str) -> Link | None:
    row = ctx.tx.execute(sa.select(LINKS).where(_key(workspace, project))).one_or_none()
    return _link(row) if row else None


def insert(ctx: Ctx, workspace: str, project: str) -> None:
    ctx.tx.execute(
        LINKS.insert().values(workspace=workspace, project=project, next_at=ctx.now, problem="", refused="[]")
    )


def due(ctx: Ctx, now: datetime) -> list[Link]:
    return [_link(row) for row in ctx.tx.execute(sa.select(LINKS).where(LINKS.c.next_at <= now))]


def next_at(ctx: Ctx) -> datetime | None:
    """When the next is to be looked at."""
    return ctx.tx.execute(sa.select(sa.func.min(LINKS.c.next_at))).scalar()


def note(ctx: Ctx, link: Link, **values: Any) -> None:
    if "refused" in values:
        values["refused"] = canonical.dumps(values["refused"])
    ctx.tx.execute(LINKS.update().where(_key(link.workspace, link.project)).values(**values))
