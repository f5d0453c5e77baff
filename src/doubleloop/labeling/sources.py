"""From a data version to items: rows of a table or images of a folder, in the order of the queue."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import orjson
import polars as pl

from doubleloop.base import actors, errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.data import model as datasets
from doubleloop.data import queries
from doubleloop.db.context import Contexts
from doubleloop.frames import pictures
from doubleloop.frames import reading as frames
from doubleloop.labeling import model, ordering, rules
from doubleloop.specs import documents
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling
from doubleloop.storage import ports as storage

# More are no work for people; a queue takes the first of them.
MOST_ITEMS = 100_000
MOST_TEXT = 200_000


@dataclass(frozen=True)
class Read:
    """A data version, and its table or its images: path → hash."""

    version: datasets.DataVersion
    frame: pl.DataFrame | None
    images: dict[str, str]


def read(contexts: Contexts, actor: actors.Actor, workspace: str, reference: str, *, table: bool = True) -> Read:
    """Raises NotFound, InvalidInput for what cannot be read."""
    with contexts.read(actor, workspace) as ctx:
        version = queries.resolve(ctx, reference)
    blobs = contexts.port(storage.Blobs)
    if not table:
        return Read(version, None, _images(blobs, version.reference))
    return Read(version, frame(contexts, version.reference), {})


def reference(contexts: Contexts, actor: actors.Actor, id_: str) -> str:
    """The content of a data version, by its id. The caller permits it. Raises NotFound."""
    workspace, _, rest = id_.removeprefix("data:").partition("/")
    name, _, version = rest.partition(":")
    with contexts.read(actor, workspace) as ctx:
        found = catalog.get(ctx, "data", workspace, name, version)
    if found is None:
        raise errors.NotFound(f"The data version {id_} is gone")
    return str(found.spec["reference"])


def frame(contexts: Contexts, reference: str) -> pl.DataFrame:
    with tempfile.TemporaryDirectory(prefix="doubleloop-labeling-") as scratch:
        name = reference.rpartition("/")[2] if "/" in reference else "data"
        return frames.read(data.materialise(contexts, reference, Path(scratch) / name))


def _images(blobs: storage.Blobs, reference: str) -> dict[str, str]:
    kind, _, rest = reference.partition(":sha256:")
    sha256, _, below = rest.partition("/")
    if kind != "tree":
        raise errors.InvalidInput("The data is one file, and a folder of images is needed", cure="Name its `column`.")
    prefix = f"{below.rstrip('/')}/" if below else ""
    return {
        each.path.removeprefix(prefix): each.sha256
        for each in blobs.tree(sha256).entries
        if each.path.startswith(prefix) and PurePosixPath(each.path).suffix.lower() in pictures.SUFFIXES
    }


def items(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document
) -> tuple[Read, list[model.Wanted]]:  # fmt: skip
    """The data version, and its items in the order of the queue with the gold questions among them.

    Raises InvalidInput with the line of the file for a column that is not there, or content that cannot be shown.
    """
    spec: Labeling = document.model
    found = _read(contexts, actor, workspace, document)
    order = _order(contexts, actor, workspace, document, found)
    made = [replace(each, score=score) for each, score in zip(
        _made(contexts, actor, workspace, document, found, [row for row, _ in order]), (score for _, score in order),
        strict=True,
    )]  # fmt: skip
    if not made:
        raise errors.InvalidInput("There is nothing to label in the data", where=document.source.where("data"))
    gold = _gold(contexts, actor, workspace, document) if spec.gold is not None else []
    return found, _mixed(made, gold, spec.queue.seed)


def _mixed(made: list[model.Wanted], gold: list[model.Wanted], seed: int) -> list[model.Wanted]:
    """Gold questions at random places, so that no number tells what is one; both keep their order."""
    places = np.zeros(len(made) + len(gold), dtype=bool)
    places[np.random.default_rng(seed).choice(len(places), len(gold), replace=False)] = True
    plain, known = iter(made), iter(gold)
    return [next(known) if is_gold else next(plain) for is_gold in places]


def _read(contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document) -> Read:
    try:
        return read(contexts, actor, workspace, document.model.data, table=document.model.column is not None)
    except (errors.InvalidInput, errors.NotFound) as error:
        error.where = error.where or document.source.where("data")
        raise


def _order(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document, found: Read
) -> list[tuple[int, float | None]]:
    """(row, score), best first."""
    spec: Labeling = document.model
    number = found.frame.height if found.frame is not None else len(found.images)
    count = min(spec.queue.count or number, number)
    if count > MOST_ITEMS:
        raise errors.InvalidInput(
            f"The data has {number} items; a project takes {MOST_ITEMS}", where=document.source.where("data"),
            cure="Give `queue: {by: random, count: 1000}`, or another order.",
        )  # fmt: skip
    if spec.queue.by in ("uncertainty", "diversity", "drift") and found.frame is None:
        raise errors.InvalidInput(
            f"A folder of images has no columns to order by {spec.queue.by}", where=document.source.where("queue"),
            cure="Use random or given, or a table with the paths and the numbers.",
        )  # fmt: skip
    reference = None
    if spec.queue.by == "drift":
        reference = read(contexts, actor, workspace, str(spec.queue.reference)).frame
    try:
        return ordering.order(spec.queue, number, found.frame, reference)[:count]
    except errors.InvalidInput as error:
        error.where = document.source.where("queue")
        raise


def _made(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document, found: Read,
    rows: Sequence[int],
) -> list[model.Wanted]:  # fmt: skip
    spec: Labeling = document.model
    if found.frame is None:
        paths = sorted(found.images)
        return [model.Wanted("image", found.images[paths[row]], row, paths[row]) for row in rows]
    made = _contents(contexts, actor, workspace, document, found.frame, rows)
    if spec.prelabels is None:
        return made
    proposed = _column(document, found.frame, spec.prelabels, "prelabels")
    return [replace(each, prelabel=_proposed(spec, each, proposed[each.row])) for each in made]


def _contents(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document, table: pl.DataFrame,
    rows: Sequence[int],
) -> list[model.Wanted]:  # fmt: skip
    spec: Labeling = document.model
    cells = _column(document, table, str(spec.column), "column")
    if spec.task not in OF_IMAGES:
        return [model.Wanted("text", _text(document, cells[row], row), row) for row in rows]
    if spec.images is not None:
        folder = read(contexts, actor, workspace, spec.images, table=False).images
        return [
            model.Wanted("image", _of(document, folder, str(cells[row]), row), row, str(cells[row])) for row in rows
        ]
    blobs = contexts.port(storage.Blobs)
    return [model.Wanted("image", blobs.put_bytes(_image(document, cells[row], row)), row) for row in rows]


def _column(document: documents.Document, table: pl.DataFrame, name: str, field: str) -> pl.Series:
    if name not in table.columns:
        raise errors.InvalidInput(
            f"Column '{name}' is not in the data", where=document.source.where(field),
            cure=f"There are: {', '.join(table.columns)}.",
        )  # fmt: skip
    return table[name]


def _text(document: documents.Document, value: Any, row: int) -> str:
    if value is None or not str(value).strip():
        raise errors.InvalidInput(
            f"Row {row + 1} of column '{document.model.column}' holds no text", where=document.source.where("column")
        )
    if len(str(value)) > MOST_TEXT:
        raise errors.InvalidInput(
            f"The text of row {row + 1} has {len(str(value))} characters; the most are {MOST_TEXT}",
            where=document.source.where("column"),
        )
    return str(value)


def _of(document: documents.Document, folder: dict[str, str], path: str, row: int) -> str:
    found = folder.get(path.removeprefix("./"))
    if found is None:
        raise errors.InvalidInput(
            f"Row {row + 1} names '{path[:200]}', which is no image in {document.model.images}",
            where=document.source.where("images"),
        )
    return found


def _image(document: documents.Document, value: Any, row: int) -> bytes:
    try:
        content = value if isinstance(value, bytes) else decoded(str(value))
        pictures.decode(content)
    except (binascii.Error, ValueError, errors.DoubleloopError) as error:
        raise errors.InvalidInput(
            f"Row {row + 1} of column '{document.model.column}' holds no image: {error}",
            where=document.source.where("column"), cure="Give base64 of PNG or JPEG, or `images` and paths.",
        ) from None  # fmt: skip
    return content


def decoded(text: str) -> bytes:
    """An image that is written as base64, with or without ``data:…,``. Raises ValueError."""
    return base64.b64decode(_bare(text), validate=True)


def _bare(text: str) -> str:
    return text.partition(",")[2] if text.startswith("data:") else text.strip()


def _proposed(spec: Labeling, made: model.Wanted, value: Any) -> Any:
    """What a model proposes, or None when it is no label that the task can have: a proposal is no answer."""
    try:
        return _known(spec, made, value)
    except errors.InvalidInput:
        return None


def _known(spec: Labeling, made: model.Wanted, value: Any) -> Any:
    if spec.task.endswith("classification"):
        return rules.checked(spec, _as_item(made), str(value))
    try:
        plain = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        raise errors.InvalidInput(f"'{str(value)[:80]}' is not JSON") from None
    return rules.checked(spec, _as_item(made), plain.to_list() if isinstance(plain, pl.Series) else plain)


def _as_item(made: model.Wanted) -> model.Item:
    return model.Item("", "", 0, made.kind, made.content, made.row, made.path, None, None, None, model.State.QUEUED)


def _gold(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document
) -> list[model.Wanted]:  # fmt: skip
    """Every row of the gold data, in an order that the seed gives."""
    spec: Labeling = document.model
    where = document.source.where("gold")
    if spec.gold is None or spec.column is None:
        raise errors.InvalidInput("Gold questions need a table, and `column`", where=where)
    try:
        table = read(contexts, actor, workspace, spec.gold.data).frame
        assert table is not None
        if spec.gold.label not in table.columns or spec.column not in table.columns:
            raise errors.InvalidInput(
                f"The gold data needs the columns '{spec.column}' and '{spec.gold.label}'",
                cure=f"There are: {', '.join(table.columns)}.",
            )
        order = np.random.default_rng(spec.queue.seed).permutation(table.height).tolist()
        made = _contents(contexts, actor, workspace, document, table, order)
        return [replace(each, gold=_known(spec, each, table[spec.gold.label][each.row])) for each in made]
    except (errors.InvalidInput, errors.NotFound) as error:
        error.where = where
        raise
