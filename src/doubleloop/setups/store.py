"""The table of what setup files made: each thing as it was applied last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx

ITEMS = sa.Table(
    "setup_items",
    tables.METADATA,
    sa.Column("setup", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(600), primary_key=True),
    sa.Column("made", sa.Boolean, nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("applied_at", tables.Moment, nullable=False),
    sa.Column("applied_by", sa.String(255), nullable=False),
)


@dataclass(frozen=True)
class Item:
    """``made``: a file created it. What was there before a file named it is never removed with the file."""

    setup: str
    kind: str
    name: str
    made: bool
    fields: dict[str, Any]
    applied_at: datetime
    applied_by: str

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name


def _of(setup: str, key: tuple[str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(ITEMS.c.setup == setup, ITEMS.c.kind == key[0], ITEMS.c.name == key[1])


def items(ctx: Ctx) -> list[Item]:
    """Of all set-ups. One thing may be named by several of them."""
    rows = ctx.tx.execute(sa.select(ITEMS).order_by(ITEMS.c.setup, ITEMS.c.kind, ITEMS.c.name))
    return [
        Item(row.setup, row.kind, row.name, row.made, json.loads(row.fields), row.applied_at, row.applied_by)
        for row in rows
    ]


def put(ctx: Ctx, item: Item) -> None:
    ctx.tx.execute(ITEMS.delete().where(_of(item.setup, item.key)))
    ctx.tx.execute(ITEMS.insert().values(**{**vars(item), "fields": canonical.dumps(item.fields)}))


def remove(ctx: Ctx, setup: str, key: tuple[str, str]) -> None:
    ctx.tx.execute(ITEMS.delete().where(_of(setup, key)))
