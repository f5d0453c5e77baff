"""Tables that checks read, and which content exactly was read."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from doubleloop.base import actors, errors
from doubleloop.catalog import model as assets
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.data import queries as data_queries
from doubleloop.db.context import Contexts, Ctx
from doubleloop.frames import reading as frames
from doubleloop.models import model as models
from doubleloop.storage import ports as storage

ACTOR = actors.service("releases")


@dataclass(frozen=True)
class Table:
    """``id`` is the data version's (or the content address), ``digest`` the hash of its content."""

    id: str
    digest: str
    rows: pl.DataFrame

    @property
    def named(self) -> dict[str, Any]:
        """As evidence tells it."""
        return {"id": self.id, "digest": assets.fingerprint(self.digest), "rows": self.rows.height}


def read(contexts: Contexts, workspace: str, reference: str, texts: Collection[str] = ()) -> Table:
    """The rows behind ``azureml:NAME:VERSION``, stored content, an address or a datastore path; ``texts`` is of
    ``frames.reading.read``.

    Raises NotFound, InvalidInput, Unavailable.
    """
    id_, content = "", ""
    if reference.startswith("azureml:") and not reference.startswith("azureml://datastores/"):
        with contexts.read(ACTOR, workspace) as ctx:
            version = data_queries.resolve(ctx, reference)
        id_, content = version.id, version.reference
    else:
        content = data.keep(contexts, ACTOR, workspace, reference)
    digest = data.content_digest(contexts.port(storage.Blobs), content)
    name = PurePosixPath(content.partition("/")[2] or "data").name
    with tempfile.TemporaryDirectory(prefix="doubleloop-check-") as scratch:
        rows = frames.read(data.materialise(contexts, content, Path(scratch) / name), texts)
        return Table(id_ or content, digest, rows)


def training_data(ctx: Ctx, version: models.ModelVersion) -> list[dict[str, str]]:
    """Every data version that led to a model version: [{"id", "digest" (a fingerprint)}], by lineage and by what it was
    recorded with.

    Data that a step merely looked at before the model was registered counts too: nothing can tell the two apart.
    """
    led = {edge.source for edge in catalog.ancestry(ctx, version.id) if edge.source.startswith("data:")}
    return [{"id": each, "digest": _digest(ctx, each)} for each in sorted(led | set(version.training_data))]


def _digest(ctx: Ctx, id_: str) -> str:
    workspace, _, rest = id_.removeprefix("data:").partition("/")
    name, _, version = rest.rpartition(":")
    asset = catalog.get(ctx, "data", workspace, name, version)
    return assets.fingerprint(asset.digest) if asset else ""


def column(table: Table, name: str) -> pl.Series:
    """Raises InvalidInput, with the columns there are."""
    if name not in table.rows.columns:
        raise errors.InvalidInput(
            f"the data {table.id} has no column '{name}'", cure=f"It has: {', '.join(table.rows.columns)}."
        )
    return table.rows[name]
