"""Finding data versions and the places of datastores."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doubleloop.base import actors, errors
from doubleloop.catalog import model as assets
from doubleloop.catalog import queries as catalog
from doubleloop.data import looking, model, store
from doubleloop.db.context import Contexts, Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage

# Azure ML's default datastore: every workspace has it.
DEFAULT_DATASTORE = "workspaceblobstore"
# What a first look at a table holds at most: values of Parquet, bytes of files of other kinds.
MOST_CELLS, MOST_BYTES = 20_000_000, 200_000_000
# What is larger is looked at in a process of its own, whose start takes longer than a look at less.
APART_BYTES = 2_000_000
_ONE_AT_A_TIME = threading.Lock()


def resolve(ctx: Ctx, reference: str) -> model.DataVersion:
    """The data version behind ``azureml:bikes:3``, ``bikes@production`` or ``bikes``. Raises NotFound."""
    asset = catalog.resolve(ctx, "data", reference)
    identity.permit(ctx, Action.DATA_READ, asset.workspace, f"data/{asset.name}")
    return from_asset(asset)


def from_asset(asset: assets.Asset) -> model.DataVersion:
    return model.DataVersion(asset, asset.spec["type"], asset.spec["reference"])


def versions(ctx: Ctx, name: str) -> list[model.DataVersion]:
    identity.permit(ctx, Action.DATA_READ)
    return [from_asset(asset) for asset in catalog.versions(ctx, "data", name)]


def names(ctx: Ctx, archived: bool = False) -> list[model.DataVersion]:
    sees = things.seen(ctx, Action.DATA_READ, "data")
    return [from_asset(asset) for asset in catalog.names(ctx, "data", archived) if sees(asset.name)]


def explore(
    contexts: Contexts, actor: actors.Actor, workspace: str, reference: str, target: str | None = None,
    against: str | None = None, *, progress: looking.Progress = looking.quiet, stop: threading.Event | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What a version's table holds (``statistics.exploring``), with the asset's id in ``data``; with ``against``,
    another version of it or of other data, also ``comparison``: what changed from that one to this.

    ``rows`` are those that were looked at, of ``rows_in_all``: of Parquet with more than ``MOST_CELLS`` values, evenly
    spaced stretches. One table is looked at at a time, a large one in a process of its own. ``progress`` hears what is
    done; it ends soon after ``stop`` is set.

    Raises NotFound, InvalidInput for what is no table, for files of other kinds of more than ``MOST_BYTES``, and for a
    target that it does not have; Unavailable when it is stopped.
    """
    stop = stop or threading.Event()
    with contexts.read(actor, workspace) as ctx:
        found = resolve(ctx, reference)
        other = resolve(ctx, against) if against else None
    with _turn(progress, stop), tempfile.TemporaryDirectory(prefix="doubleloop-data-") as scratch:
        paths = [
            _laid(contexts, each, Path(scratch) / str(number)) for number, each in enumerate([found, other]) if each
        ]
        asked = (paths, target, MOST_CELLS, MOST_BYTES, progress)
        is_large = sum(_size(each) for each in paths) > APART_BYTES
        told = looking.look_apart(*asked, stop) if is_large else looking.look(*asked)
    if other is not None:
        told["comparison"] = {"with": other.asset.id, **told["comparison"]}
    return {"data": found.asset.id, **told}


def is_large(ctx: Ctx, version: model.DataVersion) -> bool:
    """Whether a look at it takes so long that it is done apart. The caller permits it."""
    digest, _, below = version.reference.removeprefix("tree:sha256:").partition("/")
    if version.reference.startswith("blob:"):
        return ctx.port(storage.Blobs).path(version.reference.rpartition(":")[2]).stat().st_size > APART_BYTES
    held = ctx.port(storage.Blobs).tree(digest).entries
    return sum(each.size for each in held if not below or f"{each.path}/".startswith(f"{below}/")) > APART_BYTES


@contextlib.contextmanager
def _turn(progress: looking.Progress, stop: threading.Event) -> Iterator[None]:
    """One's turn to hold a table. Raises Unavailable when it is stopped before."""
    waits = 0
    while not _ONE_AT_A_TIME.acquire(timeout=looking.LOOK_S):
        if stop.is_set():
            raise errors.Unavailable("The look at the table was ended: nobody waits for it")
        if not waits:
            progress("another table is being looked at")
        waits += 1
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()


def _laid(contexts: Contexts, version: model.DataVersion, folder: Path) -> Path:
    folder.mkdir()
    place = folder / (version.reference.rpartition("/")[2] if "/" in version.reference else "data")
    return contexts.port(storage.Blobs).materialise(version.reference, place)


def _size(path: Path) -> int:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files)


def datastores(ctx: Ctx) -> dict[str, dict[str, object]]:
    sees = things.seen(ctx, Action.STORAGE_READ, "datastore")
    assert ctx.workspace is not None
    found = {DEFAULT_DATASTORE: {"type": "local"}, **store.datastores(ctx, ctx.workspace)}
    return {name: spec for name, spec in found.items() if sees(name)}


def check_root(ctx: Ctx, root: Path) -> None:
    """Raise NotPermitted for a datastore that would open this installation's own files (its keys, its database, what
    other workspaces keep), and for one outside of the folders that are set for datastores."""
    assert ctx.workspace is not None
    settings = ctx.port(Settings)
    home, place = settings.home.resolve(), root.resolve()
    own = place.is_relative_to(home / "datastores" / ctx.workspace)
    if not own and (place.is_relative_to(home) or home.is_relative_to(place)):
        raise errors.NotPermitted(
            f"A datastore at {root} would hold files of this installation itself",
            cure="Name another folder, or leave `path` out to have one made.",
        )
    roots = [Path(each).expanduser().resolve() for each in settings.datastore_roots.split(":") if each]
    if roots and not own and not any(place.is_relative_to(each) for each in roots):
        raise errors.NotPermitted(
            f"A datastore at {root} is outside of the folders for datastores", cure="See DOUBLELOOP_DATASTORE_ROOTS."
        )


def datastore_path(ctx: Ctx, uri: str) -> Path:
    """The local path of ``azureml://datastores/X/paths/P``. Raises NotFound, NotSupported, InvalidInput."""
    assert ctx.workspace is not None
    identity.permit(ctx, Action.STORAGE_READ)
    name, _, path = uri.removeprefix("azureml://datastores/").partition("/")
    path = path.removeprefix("paths").lstrip("/")
    spec = store.datastore(ctx, ctx.workspace, name)
    if spec is None and name != DEFAULT_DATASTORE:
        names = [DEFAULT_DATASTORE, *store.datastores(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.STORAGE_READ, "datastore", names)
        raise errors.NotFound(f"No datastore is named '{name}' in {ctx.workspace}", cure=cure)
    root = Path(str((spec or {}).get("path") or ctx.port(Settings).home / "datastores" / ctx.workspace / name))
    if spec and spec.get("type", "local") not in ("local", "custom", "file"):
        raise errors.NotSupported(
            f"Datastore {name} is of type {spec['type']}, which cannot be reached from here yet",
            cure="Declare it in the setup file as {type: local, path: /folder}.",
        )
    check_root(ctx, root)
    place = (root / path).resolve()
    if not place.is_relative_to(root.resolve()):
        raise errors.InvalidInput(f"'{uri}' leads out of its datastore")
    return place
