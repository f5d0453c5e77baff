"""Registering components. They never change once created."""

from __future__ import annotations

from doubleloop.base import canonical, errors
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import model as assets
from doubleloop.components import queries
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.specs import documents

# What a version is told apart by is what it does, not what it is called.
_NAMES = ("$schema", "name", "version")


def create(ctx: Ctx, document: documents.Document, label: str | None = None) -> assets.Asset:
    """Register a component as its file says; the same content again is the same version.

    Components that it uses by name are settled now. Raises InvalidInput for one without a name or whose code was not
    uploaded, NotFound for one that it uses, Conflict for a version with other content.
    """
    identity.permit(ctx, Action.ENVIRONMENT_WRITE)
    if not document.model.name:
        raise errors.InvalidInput("The component has no name", where=document.where(), cure="Add 'name: ...'.")
    for path in documents.local_paths(document):
        raise errors.InvalidInput(f"'{path.path}' has not been uploaded", where=document.where(path.pointer))
    document = queries.inlined(ctx, document)
    spec = document.spec()
    content = {key: value for key, value in spec.items() if key not in _NAMES}
    described = {key: spec[key] for key in ("description", "tags") if spec.get(key)}
    asset = catalog.add(
        ctx, "component", document.model.name, document.model.version, canonical.sha256(content),
        {**described, "type": document.model.type, "document": document.to_wire()},
    )  # fmt: skip
    if label:
        catalog.label(ctx, asset, label)
    return queries.resolve(ctx, f"{asset.name}:{asset.version}")


def set_label(ctx: Ctx, reference: str, label: str) -> assets.Asset:
    """Point a label at a version. Raises NotFound, InvalidInput."""
    asset = queries.resolve(ctx, reference)
    identity.permit(ctx, Action.ENVIRONMENT_WRITE, asset.workspace)
    catalog.label(ctx.in_workspace(asset.workspace), asset, label)
    return queries.resolve(ctx, f"{asset.name}:{asset.version}")


def archive(ctx: Ctx, reference: str, archived: bool = True) -> assets.Asset:
    """Leave a version out of listings, or put it back; what uses it goes on. Raises NotFound."""
    asset = queries.resolve(ctx, reference)
    identity.permit(ctx, Action.ENVIRONMENT_WRITE, asset.workspace)
    catalog.archive(ctx.in_workspace(asset.workspace), asset, archived)
    return queries.resolve(ctx, f"{asset.name}:{asset.version}")
