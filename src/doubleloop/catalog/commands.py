"""Adding versions, moving labels, drawing lineage. Called by the rooms that know what an asset means; they permit."""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors, ids
from doubleloop.catalog import model, rules, store
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events


def add(
    ctx: Ctx,
    kind: str,
    name: str,
    version: str | None,
    digest: str,
    spec: dict[str, Any],
    job: str | None = None,
) -> model.Asset:
    """A new version in the context's workspace.

    Without a version: the next number, or the newest version itself when its digest is the same. Raises Conflict
    when the version exists with other content: versions never change.
    """
    assert ctx.workspace is not None
    if not ids.is_name(name):
        raise errors.InvalidInput(
            f"'{name[:80]}' cannot be the name of an asset", cure="Use letters, digits, '.', '_', '-'."
        )
    if version is not None and not ids.is_name(version):
        raise errors.InvalidInput(
            f"'{version}' cannot be the version of an asset",
            cure="Use letters, digits, '.', '_', '-', or leave it out.",
        )
    existing = store.versions(ctx, kind, ctx.workspace, name)
    if version is None and existing and existing[0].digest == digest:
        return existing[0]
    if version is not None:
        same = next((asset for asset in existing if asset.version == version), None)
        if same and same.digest == digest:
            return same
        if same:
            raise errors.Conflict(
                f"{kind} {name}:{version} exists with other content, and a version never changes",
                cure=f"Leave the version out, or use {rules.next_version(a.version for a in existing)}.",
            )
    asset = model.Asset(
        kind, name, version or rules.next_version(a.version for a in existing), ctx.workspace, digest, spec,
        ctx.actor.id, ctx.now, job,
    )  # fmt: skip
    store.insert(ctx, asset)
    events.record(ctx, f"{kind}.created", asset.id, name=name, version=asset.version, digest=digest, job=job)
    return asset


def label(ctx: Ctx, asset: model.Asset, label_: str) -> None:
    """Point ``label_`` at this version. ``latest`` is computed and cannot be moved. Raises InvalidInput."""
    if label_ == "latest":
        raise errors.InvalidInput("The label 'latest' always means the newest version and cannot be moved")
    if not ids.is_name(label_):
        raise errors.InvalidInput(f"'{label_}' cannot be a label")
    before = store.labels(ctx, asset.kind, asset.workspace, asset.name).get(label_)
    if before == asset.version:
        return
    store.put_label(ctx, asset.kind, asset.workspace, asset.name, label_, asset.version)
    events.record(ctx, f"{asset.kind}.labelled", asset.id, label=label_, before=before)


def unlabel(ctx: Ctx, asset: model.Asset, label_: str) -> None:
    """``asset`` is the version that it points at; nothing happens when it points elsewhere."""
    if store.labels(ctx, asset.kind, asset.workspace, asset.name).get(label_) == asset.version:
        store.delete_label(ctx, asset.kind, asset.workspace, asset.name, label_)
        events.record(ctx, f"{asset.kind}.unlabelled", asset.id, label=label_)


def archive(ctx: Ctx, asset: model.Asset, archived: bool = True) -> None:
    store.set_archived(ctx, asset, archived)
    events.record(ctx, f"{asset.kind}.{'archived' if archived else 'restored'}", asset.id)


def link(ctx: Ctx, source: str, relation: str, target: str) -> None:
    """``source`` came before ``target``; drawing an edge twice is one edge."""
    store.add_edge(ctx, model.Edge(source, relation, target))
