"""Finding registered components, and putting them into the documents that refer to them."""

from __future__ import annotations

from pathlib import Path

from doubleloop.base import errors
from doubleloop.catalog import model as assets
from doubleloop.catalog import queries as catalog
from doubleloop.catalog import rules
from doubleloop.components import shipped
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.specs import documents, fields, pointers, references
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

# A component uses components that were settled when it was registered, so one pass is enough; a second finds nothing.
_FIELDS = ("component", "trial")


def resolve(ctx: Ctx, reference: str) -> assets.Asset:
    """``azureml:name:1``, ``name@latest``, ``azureml://registries/R/components/name/versions/1``. Raises NotFound.

    The registry ``doubleloop`` is the catalog that is shipped, after one of that name that an installation has itself.
    """
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    if rules.parse(reference).registry != shipped.REGISTRY:
        return catalog.resolve(ctx, "component", reference)
    if shipped.REGISTRY in workspaces.registries(ctx):
        try:
            return catalog.resolve(ctx, "component", reference)
        except errors.NotFound:
            pass  # what is shipped stands behind it
    return shipped.find(ctx.port(storage.Blobs), reference)


def shipped_ones(ctx: Ctx) -> list[assets.Asset]:
    """The catalog of training components, in alphabetical order."""
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return shipped.listed(ctx.port(storage.Blobs))


def shipped_one(ctx: Ctx, reference: str) -> assets.Asset:
    """``name``, ``name:1`` or ``name@latest`` of the catalog. Raises NotFound."""
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return shipped.find(ctx.port(storage.Blobs), reference)


def classes_of_catalog(model: Path) -> tuple[str, ...]:
    """Names that a model's pickles may mention because the code that it brings along is the catalog's, unchanged."""
    return shipped.classes(model)


def versions(ctx: Ctx, name: str) -> list[assets.Asset]:
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return catalog.versions(ctx, "component", name)


def names(ctx: Ctx, archived: bool = False) -> list[assets.Asset]:
    identity.permit(ctx, Action.ENVIRONMENT_READ)
    return catalog.names(ctx, "component", archived)


def document(asset: assets.Asset) -> documents.Document:
    """The component as its file said, with the places in that file."""
    return documents.from_wire(asset.spec["document"])


def inlined(ctx: Ctx, outer: documents.Document) -> documents.Document:
    """The document with every registered component in place of the reference to it.

    Raises NotFound, or InvalidInput for a reference that is none, with the line that it is written in.
    """
    found: dict[str, documents.Document] = {}
    for visit in fields.walk(outer.model):
        if visit.name in _FIELDS and isinstance(visit.value, str):
            found[pointers.join(visit.pointer)] = _component(ctx, outer, visit)
    return documents.with_parts(outer, found) if found else outer


def _component(ctx: Ctx, outer: documents.Document, visit: fields.Visit) -> documents.Document:
    where = outer.source.where(visit.pointer)
    reference = references.parse(visit.value, where)
    if not isinstance(reference, references.Asset | references.RegistryAsset):
        raise errors.InvalidInput(
            f"'{visit.value}' is not a component", where=where,
            cure="Write azureml:NAME:VERSION, azureml:NAME@LABEL, a registry path, or the component's file.",
        )  # fmt: skip
    try:
        return document(resolve(ctx, str(reference)))
    except errors.NotFound as error:
        raise errors.NotFound(error.what, where=where, cure=error.cure) from error
