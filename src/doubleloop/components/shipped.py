"""The catalog of training components that is shipped, as the registry ``doubleloop``: files of the room ``recipes``.

Nothing of it is imported. A component becomes an asset when somebody asks for it: its code is stored by content, as if
it had been uploaded, so a job that ran goes on as it was whatever is installed by then.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import doubleloop
from doubleloop.base import canonical, errors
from doubleloop.catalog import model as assets
from doubleloop.catalog import rules
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

REGISTRY = "doubleloop"
FOLDER = Path(doubleloop.__file__).parent / "recipes"
# What a model calls the Python of the catalog that it brings along.
PACKAGE = "doubleloop_recipes"
# What lies beside a component's code and is no part of it.
_APART = (".yml", ".yaml", ".md", ".pyc")
# What a version is told apart by is what it does, not what it is called.
_NAMES = ("$schema", "name", "version")


@dataclass(frozen=True)
class Shipped:
    """A component as its file says, with paths of this machine; ``version`` is the only one that there is."""

    name: str
    version: str
    file: Path
    document: documents.Document


def names() -> list[str]:
    """What the catalog has, in alphabetical order. A component's file is called as it is."""
    return sorted(_files())


def read(name: str) -> Shipped:
    """Raises NotFound, with names that are near."""
    files = _files()
    if name not in files:
        near = difflib.get_close_matches(name, files, 3)
        raise errors.NotFound(
            f"The catalog has no component '{name}'",
            cure=f"Did you mean {', '.join(near)}?" if near else "See `doubleloop component list --catalog`.",
        )
    return _read(files[name])


def find(blobs: storage.Blobs, reference: str) -> assets.Asset:
    """``azureml://registries/doubleloop/components/NAME/versions/N`` (or ``/labels/latest``, or ``NAME@latest``) as an
    asset whose code is stored. Raises NotFound, also for a version or label that there is not."""
    wanted = rules.parse(reference)
    found = read(wanted.name)
    if wanted.version not in (None, found.version) or wanted.label not in (None, "latest"):
        mark = wanted.version or f"@{wanted.label}"
        raise errors.NotFound(
            f"The catalog has no {mark} of the component '{found.name}'",
            cure=f"It has version {found.version}, which is also @latest.",
        )
    return _asset(found, _stored(blobs, found.document))


def listed(blobs: storage.Blobs) -> list[assets.Asset]:
    """Every component."""
    return [_asset(found, _stored(blobs, found.document)) for found in map(read, names())]


def classes(model: Path) -> tuple[str, ...]:
    """Names that the pickles of a model in this folder may mention because the code that it brings along
    (``code/doubleloop_recipes``) is the catalog's as it is shipped, and nothing else: its classes."""
    code = model / "code"
    found = [file for file in sorted(code.rglob("*")) if file.is_file()] if code.is_dir() else []
    for file in found:
        name = file.relative_to(code)
        origin = FOLDER.joinpath(*name.parts[1:])
        is_root = name.as_posix() == f"{PACKAGE}/__init__.py" and not file.stat().st_size
        if name.parts[0] != PACKAGE or not (is_root or _is_same(file, origin)):
            return ()
    return tuple(
        f"{'.'.join(file.relative_to(code).with_suffix('').parts)}.{each.name}"
        for file in found
        if file.suffix == ".py"
        for each in ast.parse(file.read_text()).body
        if isinstance(each, ast.ClassDef)
    )


def _is_same(file: Path, origin: Path) -> bool:
    return origin.is_file() and file.read_bytes() == origin.read_bytes()


def _files() -> dict[str, Path]:
    return {file.stem: file for file in sorted(FOLDER.glob("*/*.yml"))}


@functools.cache
def _read(file: Path) -> Shipped:
    place = f"registries/{REGISTRY}/components/{file.name}"
    document = documents.parse(file.read_text(), place, file.parent, kind="component")
    return Shipped(str(document.model.name), str(document.model.version), file, document)


def _stored(blobs: storage.Blobs, document: documents.Document) -> documents.Document:
    replaced = {}
    for local in documents.local_paths(document):
        folders = (local.path, *local.includes)
        entries = [
            storage.Entry(name, blobs.put_file(file), file.stat().st_size)
            for folder in folders
            for name, file in _code(folder)
        ]
        tree = blobs.put_entries(tuple(sorted(entries, key=lambda entry: entry.path)))
        replaced[local.pointer] = f"tree:sha256:{tree.sha256}"
    return documents.with_paths(document, replaced)


def _code(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of an included folder, under its own name."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder.parent)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
        if file.is_file() and not hidden and file.suffix not in _APART:
            yield name.as_posix(), file


def _asset(found: Shipped, document: documents.Document) -> assets.Asset:
    spec = document.spec()
    content = {key: value for key, value in spec.items() if key not in _NAMES}
    described = {key: spec[key] for key in ("description", "tags") if spec.get(key)}
    return assets.Asset(
        "component", found.name, found.version, REGISTRY, canonical.sha256(content),
        {**described, "type": document.model.type, "document": document.to_wire()},
        REGISTRY, datetime.fromtimestamp(int(found.file.stat().st_mtime), UTC), labels=("latest",),
    )  # fmt: skip
