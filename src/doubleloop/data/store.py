"""Datastores, which are names for places that paths are relative to, and what was fetched from addresses."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.catalog import model as assets
from doubleloop.data import model
from doubleloop.db import tables
from doubleloop.db.context import Ctx

DATASTORES = sa.Table(
    "datastores",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)

# ``key`` is the hash of an address: what is private to a workspace is fetched for it alone.
FETCHED = sa.Table(
    "fetched_addresses",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("modified", sa.Text, nullable=False),
    sa.Column("fetched_at", tables.Moment, nullable=False),
)

CONTRACTS = sa.Table(
    "data_contracts",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("on_break", sa.String(20), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
# How versions kept the contract of a hash; the first look at each is kept.
CHECKS = sa.Table(
    "data_contract_checks",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(255), primary_key=True),
    sa.Column("contract", sa.String(64), primary_key=True),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("violations", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("at", tables.Moment, nullable=False),
)


@dataclass(frozen=True)
class Fetched:
    """``etag`` and ``modified`` are what the server said of what was fetched; empty when it said nothing."""

    reference: str
    etag: str
    modified: str


def fetched(ctx: Ctx, workspace: str, key: str) -> Fetched | None:
    where = sa.and_(FETCHED.c.workspace == workspace, FETCHED.c.key == key)
    row = ctx.tx.execute(sa.select(FETCHED).where(where)).one_or_none()
    return Fetched(row.reference, row.etag, row.modified) if row else None


def put_fetched(ctx: Ctx, workspace: str, key: str, reference: str, etag: str, modified: str) -> None:
    where = sa.and_(FETCHED.c.workspace == workspace, FETCHED.c.key == key)
    values = {"reference": reference, "etag": etag, "modified": modified, "fetched_at": ctx.now}
    if ctx.tx.execute(FETCHED.update().where(where).values(**values)).rowcount:
        return
    with contextlib.suppress(sa.exc.IntegrityError), ctx.tx.begin_nested():  # somebody else fetched the same
        ctx.tx.execute(FETCHED.insert().values(workspace=workspace, key=key, **values))


def _where(workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(DATASTORES.c.workspace == workspace, DATASTORES.c.name == name)


def datastore(ctx: Ctx, workspace: str, name: str) -> dict[str, Any] | None:
    text = ctx.tx.execute(sa.select(DATASTORES.c.spec).where(_where(workspace, name))).scalar()
    return json.loads(text) if text is not None else None


def datastores(ctx: Ctx, workspace: str) -> dict[str, dict[str, Any]]:
    rows = ctx.tx.execute(sa.select(DATASTORES).where(DATASTORES.c.workspace == workspace).order_by(DATASTORES.c.name))
    return {row.name: json.loads(row.spec) for row in rows}


def put_datastore(ctx: Ctx, workspace: str, name: str, spec: dict[str, Any]) -> None:
    values = {"spec": canonical.dumps(spec)}
    if ctx.tx.execute(DATASTORES.update().where(_where(workspace, name)).values(**values)).rowcount == 0:
        ctx.tx.execute(DATASTORES.insert().values(workspace=workspace, name=name, created_at=ctx.now, **values))


def remove_datastore(ctx: Ctx, workspace: str, name: str) -> bool:
    return ctx.tx.execute(DATASTORES.delete().where(_where(workspace, name))).rowcount > 0


def _of(table: sa.Table, workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.workspace == workspace, table.c.name == name)


def _contract(row: sa.Row[tuple[Any, ...]]) -> model.Contract:
    return model.Contract(**{**row._mapping, "document": json.loads(row.document)})


def contract(ctx: Ctx, workspace: str, name: str) -> model.Contract | None:
    row = ctx.tx.execute(sa.select(CONTRACTS).where(_of(CONTRACTS, workspace, name))).one_or_none()
    return _contract(row) if row else None


def contracts(ctx: Ctx, workspace: str) -> list[model.Contract]:
    query = sa.select(CONTRACTS).where(CONTRACTS.c.workspace == workspace).order_by(CONTRACTS.c.name)
    return [_contract(row) for row in ctx.tx.execute(query)]


def put_contract(ctx: Ctx, contract_: model.Contract) -> None:
    delete_contract(ctx, contract_)
    ctx.tx.execute(CONTRACTS.insert().values(**{**vars(contract_), "document": canonical.dumps(contract_.document)}))


def delete_contract(ctx: Ctx, contract_: model.Contract) -> None:
    ctx.tx.execute(CONTRACTS.delete().where(_of(CONTRACTS, contract_.workspace, contract_.name)))


def _check(row: sa.Row[tuple[Any, ...]]) -> model.ContractCheck:
    reasons, violations = tuple(json.loads(row.reasons)), tuple(json.loads(row.violations))
    return model.ContractCheck(row.version, model.Judged(row.contract, reasons, violations, row.rows, row.at))


def contract_check(ctx: Ctx, asset: assets.Asset, hash_: str) -> model.ContractCheck | None:
    where = sa.and_(_of(CHECKS, asset.workspace, asset.name), CHECKS.c.version == asset.version)
    row = ctx.tx.execute(sa.select(CHECKS).where(where, CHECKS.c.contract == hash_)).one_or_none()
    return _check(row) if row else None


def contract_checks(ctx: Ctx, contract_: model.Contract, limit: int) -> list[model.ContractCheck]:
    query = sa.select(CHECKS).where(_of(CHECKS, contract_.workspace, contract_.name)).order_by(CHECKS.c.at.desc())
    return [_check(row) for row in ctx.tx.execute(query.limit(limit))]


def add_contract_check(ctx: Ctx, asset: assets.Asset, judged: model.Judged) -> bool:
    """False when the same contract has looked at the version before."""
    if contract_check(ctx, asset, judged.contract) is not None:
        return False
    ctx.tx.execute(
        CHECKS.insert().values(
            workspace=asset.workspace, name=asset.name, version=asset.version, contract=judged.contract,
            reasons=canonical.dumps(list(judged.reasons)), violations=canonical.dumps(list(judged.violations)),
            rows=judged.rows, at=judged.at,
        )
    )  # fmt: skip
    return True
