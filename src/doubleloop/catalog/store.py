"""Tables of assets, labels and lineage."""

from __future__ import annotations

import json
from collections import defaultdict

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.catalog import model
from doubleloop.db import tables
from doubleloop.db.context import Ctx

ASSETS = sa.Table(
    "assets",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("version", sa.String(255), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, index=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("job", sa.String(255)),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.UniqueConstraint("kind", "workspace", "name", "version"),
)
LABELS = sa.Table(
    "asset_labels",
    tables.METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("label", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(255), nullable=False),
)
LINEAGE = sa.Table(
    "lineage",
    tables.METADATA,
    sa.Column("source", sa.String(512), primary_key=True),
    sa.Column("relation", sa.String(40), primary_key=True),
    sa.Column("target", sa.String(512), primary_key=True, index=True),
)


def _asset(row: sa.Row[tuple[object, ...]], labels: tuple[str, ...] = ()) -> model.Asset:
    return model.Asset(
        row.kind, row.name, row.version, row.workspace, row.digest, json.loads(row.spec), row.created_by,
        row.created_at, row.job, row.archived, labels,
    )  # fmt: skip


def insert(ctx: Ctx, asset: model.Asset) -> None:
    ctx.tx.execute(
        ASSETS.insert().values(
            kind=asset.kind, workspace=asset.workspace, name=asset.name, version=asset.version, digest=asset.digest,
            spec=canonical.dumps(asset.spec), created_by=asset.created_by, created_at=asset.created_at,
            job=asset.job, archived=asset.archived,
        )
    )  # fmt: skip


def _where(kind: str, workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(ASSETS.c.kind == kind, ASSETS.c.workspace == workspace, ASSETS.c.name == name)


def get(ctx: Ctx, kind: str, workspace: str, name: str, version: str) -> model.Asset | None:
    query = sa.select(ASSETS).where(_where(kind, workspace, name), ASSETS.c.version == version)
    row = ctx.tx.execute(query).one_or_none()
    if row is None:
        return None
    marks = labels(ctx, kind, workspace, name)
    return _asset(row, tuple(sorted(label for label, marked in marks.items() if marked == version)))


def versions(ctx: Ctx, kind: str, workspace: str, name: str) -> list[model.Asset]:
    """Newest first, by the order of creation."""
    marks: dict[str, list[str]] = defaultdict(list)
    for label, version in labels(ctx, kind, workspace, name).items():
        marks[version].append(label)
    query = sa.select(ASSETS).where(_where(kind, workspace, name)).order_by(ASSETS.c.seq.desc())
    return [_asset(row, tuple(sorted(marks[row.version]))) for row in ctx.tx.execute(query)]


def newest(ctx: Ctx, kind: str, workspaces: list[str], archived: bool = False) -> list[model.Asset]:
    """The newest version of every name in these workspaces, of those that are archived too when asked for."""
    last = (
        sa.select(sa.func.max(ASSETS.c.seq))
        .where(ASSETS.c.kind == kind, ASSETS.c.workspace.in_(workspaces))
        .group_by(ASSETS.c.workspace, ASSETS.c.name)
    )
    if not archived:
        last = last.where(ASSETS.c.archived.is_(False))
    query = sa.select(ASSETS).where(ASSETS.c.seq.in_(last)).order_by(ASSETS.c.name)
    return [_asset(row) for row in ctx.tx.execute(query)]


def of_digest(ctx: Ctx, digest: str) -> list[model.Asset]:
    query = sa.select(ASSETS).where(ASSETS.c.digest == digest).order_by(ASSETS.c.seq)
    return [_asset(row) for row in ctx.tx.execute(query)]


def set_archived(ctx: Ctx, asset: model.Asset, archived: bool) -> None:
    where = _where(asset.kind, asset.workspace, asset.name)
    ctx.tx.execute(ASSETS.update().where(where, ASSETS.c.version == asset.version).values(archived=archived))


def labels(ctx: Ctx, kind: str, workspace: str, name: str) -> dict[str, str]:
    query = sa.select(LABELS.c.label, LABELS.c.version).where(
        LABELS.c.kind == kind, LABELS.c.workspace == workspace, LABELS.c.name == name
    )
    return {row.label: row.version for row in ctx.tx.execute(query)}


def put_label(ctx: Ctx, kind: str, workspace: str, name: str, label: str, version: str) -> None:
    key = {"kind": kind, "workspace": workspace, "name": name, "label": label}
    where = sa.and_(*(LABELS.c[column] == value for column, value in key.items()))
    if ctx.tx.execute(LABELS.update().where(where).values(version=version)).rowcount == 0:
        ctx.tx.execute(LABELS.insert().values(version=version, **key))


def delete_label(ctx: Ctx, kind: str, workspace: str, name: str, label: str) -> None:
    key = {"kind": kind, "workspace": workspace, "name": name, "label": label}
    ctx.tx.execute(LABELS.delete().where(*(LABELS.c[column] == value for column, value in key.items())))


def add_edge(ctx: Ctx, edge: model.Edge) -> None:
    where = sa.and_(
        LINEAGE.c.source == edge.source, LINEAGE.c.relation == edge.relation, LINEAGE.c.target == edge.target
    )
    if ctx.tx.execute(sa.select(LINEAGE.c.source).where(where)).first() is None:
        ctx.tx.execute(LINEAGE.insert().values(source=edge.source, relation=edge.relation, target=edge.target))


def edges(ctx: Ctx, *, source: str | None = None, target: str | None = None) -> list[model.Edge]:
    query = sa.select(LINEAGE).order_by(LINEAGE.c.source, LINEAGE.c.relation, LINEAGE.c.target)
    if source is not None:
        query = query.where(LINEAGE.c.source == source)
    if target is not None:
        query = query.where(LINEAGE.c.target == target)
    return [model.Edge(row.source, row.relation, row.target) for row in ctx.tx.execute(query)]
