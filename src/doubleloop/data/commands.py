"""Adding data versions and moving labels over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doubleloop.base import actors, canonical, errors
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import model as assets
from doubleloop.catalog import queries as found
from doubleloop.data import contracts, fetching, model, queries, store
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.storage import ports as storage


def add_version(
    ctx: Ctx,
    name: str,
    reference: str,
    type_: str,
    *,
    version: str | None = None,
    description: str = "",
    tags: dict[str, str] | None = None,
    job: str | None = None,
    sources: Sequence[str] = (),
    label: str | None = None,
    rows: int | None = None,
    judged: model.Judged | None = None,
) -> assets.Asset:
    """A new version in the context's workspace; ``sources`` are lineage ids that it was made from, ``judged`` what
    ``contracts.look`` found of the content.

    Raises Conflict when ``version`` exists with other content, NotFound when the content was never stored, InvalidInput
    when it breaks the asset's contract.
    """
    identity.permit(ctx, Action.DATA_WRITE, resource=f"data/{name}")
    if type_ not in model.TYPES:
        raise errors.InvalidInput(f"'{type_}' is not a data type", cure=f"One of {', '.join(model.TYPES)}.")
    digest = content_digest(ctx.port(storage.Blobs), reference)
    judged = contracts.hold(ctx, name, reference, judged)
    spec: dict[str, Any] = {"type": type_, "reference": reference, "description": description, "tags": tags or {}}
    if rows is not None:
        spec["rows"] = rows
    asset = catalog.add(ctx, "data", name, version, digest, spec, job)
    contracts.note(ctx, asset, judged)
    for source in sources:
        catalog.link(ctx, source, "derived", asset.id)
    if label:
        catalog.label(ctx, asset, label)
    return asset


def label(ctx: Ctx, reference: str, name: str) -> assets.Asset:
    """Move a label (``production``) to a version. Raises NotFound."""
    asset = found.resolve(ctx, "data", reference)
    identity.permit(ctx, Action.DATA_WRITE, asset.workspace, f"data/{asset.name}")
    catalog.label(ctx.in_workspace(asset.workspace), asset, name)
    return asset


def archive(ctx: Ctx, reference: str, archived: bool) -> assets.Asset:
    """Hide a version from listings and from ``latest``, or show it again. Raises NotFound."""
    asset = found.resolve(ctx, "data", reference)
    identity.permit(ctx, Action.DATA_WRITE, asset.workspace, f"data/{asset.name}")
    catalog.archive(ctx.in_workspace(asset.workspace), asset, archived)
    return found.resolve(ctx, "data", f"{asset.name}:{asset.version}")


def put_datastore(ctx: Ctx, name: str, spec: dict[str, Any]) -> None:
    """Name a place. ``spec`` is {type, path|url, …}; secrets do not belong in it.

    Raises NotPermitted for a folder that holds what is the installation's own.
    """
    identity.permit(ctx, Action.STORAGE_WRITE, resource=f"datastore/{name}")
    assert ctx.workspace is not None
    before = store.datastore(ctx, ctx.workspace, name)
    if before == spec:
        return
    if spec.get("path"):
        queries.check_root(ctx, Path(str(spec["path"])))
    store.put_datastore(ctx, ctx.workspace, name, spec)
    events.record(ctx, "datastore.changed", f"datastore:{ctx.workspace}/{name}", spec=spec, before=before)


def remove_datastore(ctx: Ctx, name: str) -> None:
    """Forget the name; what lies there stays. Raises NotFound."""
    identity.permit(ctx, Action.STORAGE_WRITE, resource=f"datastore/{name}")
    assert ctx.workspace is not None
    before = store.datastore(ctx, ctx.workspace, name)
    if not store.remove_datastore(ctx, ctx.workspace, name):
        raise errors.NotFound(f"No datastore is named '{name}' in {ctx.workspace}")
    events.record(ctx, "datastore.removed", f"datastore:{ctx.workspace}/{name}", before=before)


def content_digest(blobs: storage.Blobs, reference: str) -> str:
    """The hash that stands for the content behind a reference, whatever folder it was uploaded in."""
    kind, _, rest = reference.partition(":sha256:")
    sha256, _, below = rest.partition("/")
    if kind == "blob":
        if not blobs.has(sha256):
            raise errors.NotFound(f"No content is stored under {sha256[:12]}…", cure="Upload it first.")
        return sha256
    if kind != "tree":
        raise errors.InvalidInput(f"'{reference}' is not stored content (blob:sha256:… or tree:sha256:…)")
    tree = blobs.tree(sha256)
    if not below:
        return sha256
    single = [entry for entry in tree.entries if entry.path == below]
    inside = single or [entry for entry in tree.entries if entry.path.startswith(below.rstrip("/") + "/")]
    if not inside:
        raise errors.NotFound(f"'{below}' is not in the stored folder {sha256[:12]}…")
    return inside[0].sha256 if single else canonical.sha256([[e.path, e.sha256] for e in inside])


def keep(contexts: Contexts, actor: actors.Actor, workspace: str, path: str) -> str:
    """Turn what a file says (``https://…``, a datastore path, stored content, another asset) into stored content.

    Addresses are fetched once and kept by hash (``fetching``). Raises InvalidInput, NotFound, NotSupported,
    Unavailable.
    """
    blobs = contexts.port(storage.Blobs)
    if path.startswith(("blob:sha256:", "tree:sha256:")):
        content_digest(blobs, path)
        return path
    if path.startswith(("https://", "http://")):
        return fetching.fetch(contexts, actor, workspace, path)
    with contexts.read(actor, workspace) as ctx:
        if path.startswith("azureml://datastores/"):
            folder = queries.datastore_path(ctx, path)
        elif path.startswith("azureml:"):
            return queries.resolve(ctx, path).reference
        else:
            raise errors.NotSupported(
                f"'{path}' cannot be reached from here",
                cure="Use a local path, an https:// address, azureml:NAME:VERSION or azureml://datastores/….",
            )
    return store_path(blobs, folder)


def store_path(blobs: storage.Blobs, path: Path) -> str:
    """Store a file (under its own name) or a folder and return its reference. Raises NotFound."""
    if path.is_dir():
        return f"tree:sha256:{blobs.put_tree(path).sha256}"
    if not path.exists():
        raise errors.NotFound(f"There is nothing at {path}")
    entry = storage.Entry(path.name, blobs.put_file(path), path.stat().st_size)
    return f"tree:sha256:{blobs.put_entries((entry,)).sha256}/{path.name}"


def store_bytes(blobs: storage.Blobs, name: str, content: bytes) -> str:
    """Store content as a file of that name."""
    entry = storage.Entry(name, blobs.put_bytes(content), len(content))
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    return f"tree:sha256:{blobs.put_entries((entry,)).sha256}/{name}"


def materialise(contexts: Contexts, reference: str, target: Path, *, writable: bool = False) -> Path:
    """Lay stored content at ``target`` (a file or a folder, as it is)."""
    return contexts.port(storage.Blobs).materialise(reference, target, writable=writable)
