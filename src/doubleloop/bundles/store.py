"""Tables of bundles and of the keys that are trusted."""

from __future__ import annotations

import json

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.bundles import model
from doubleloop.db import tables
from doubleloop.db.context import Ctx

BUNDLES = sa.Table(
    "bundles",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("content", sa.String(64), nullable=False, index=True),
    sa.Column("release", sa.String(255), nullable=False, index=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("version", sa.String(255), nullable=False),
    sa.Column("key", sa.String(16), nullable=False),
    sa.Column("signature", sa.String(88), nullable=False),
    sa.Column("authors", sa.Text, nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("imported", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
KEYS = sa.Table(
    "trusted_keys",
    tables.METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("public", sa.String(44), nullable=False),
    sa.Column("added_by", sa.String(255), nullable=False),
    sa.Column("added_at", tables.Moment, nullable=False),
)


def _bundle(row: sa.Row[tuple[object, ...]]) -> model.Bundle:
    return model.Bundle(
        row.digest, row.release, row.workspace, row.model, row.version, row.key, row.signature,
        tuple(json.loads(row.authors)), row.files, row.size, row.imported, row.created_by, row.created_at,
    )  # fmt: skip


def insert(ctx: Ctx, bundle: model.Bundle, content: str) -> None:
    """``content``: the hash of what it says without when it was made."""
    values = {**vars(bundle), "authors": canonical.dumps(list(bundle.authors)), "content": content}
    ctx.tx.execute(BUNDLES.insert().values(**values))


def get(ctx: Ctx, digest: str) -> model.Bundle | None:
    row = ctx.tx.execute(sa.select(BUNDLES).where(BUNDLES.c.digest == digest)).one_or_none()
    return _bundle(row) if row else None


def of_content(ctx: Ctx, content: str) -> model.Bundle | None:
    query = sa.select(BUNDLES).where(BUNDLES.c.content == content).order_by(BUNDLES.c.seq).limit(1)
    row = ctx.tx.execute(query).one_or_none()
    return _bundle(row) if row else None


def select(
    ctx: Ctx, *, release: str | None = None, model_: str | None = None, version: str | None = None
) -> list[model.Bundle]:
    """Newest first."""
    query = sa.select(BUNDLES).order_by(BUNDLES.c.seq.desc())
    for column, value in ((BUNDLES.c.release, release), (BUNDLES.c.model, model_), (BUNDLES.c.version, version)):
        if value is not None:
            query = query.where(column == value)
    return [_bundle(row) for row in ctx.tx.execute(query)]


def keys(ctx: Ctx) -> list[model.TrustedKey]:
    return [
        model.TrustedKey(row.id, row.name, row.public, row.added_by, row.added_at)
        for row in ctx.tx.execute(sa.select(KEYS).order_by(KEYS.c.name, KEYS.c.id))
    ]


def put_key(ctx: Ctx, key: model.TrustedKey) -> None:
    ctx.tx.execute(KEYS.delete().where(KEYS.c.id == key.id))
    ctx.tx.execute(KEYS.insert().values(**vars(key)))


def remove_key(ctx: Ctx, id_: str) -> None:
    ctx.tx.execute(KEYS.delete().where(KEYS.c.id == id_))
