"""A project on what production saw: the rows of an endpoint's window that its model was least sure of, or that lie
farthest from what came before, become a data version, and the project is opened on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from doubleloop.base import actors, errors
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.db.context import Contexts
from doubleloop.endpoints import queries as endpoints
from doubleloop.frames import pictures
from doubleloop.frames import reading as frames
from doubleloop.labeling import commands, model, ordering, proposing, store
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling
from doubleloop.statistics import images, texts
from doubleloop.storage import ports as storage

PREDICTION = "prediction"
# Rows of the log that one project looks through; of more, the newest.
MOST_ROWS = 50_000
MOST_LABELS = 100
# Names that columns of probabilities commonly have in answers.
PROBABILITIES = ("probabilities", "probability", "scores", "score", "confidence")


@dataclass(frozen=True)
class Wanted:
    """Rows of ``endpoint`` in ``workspace`` from ``since`` until ``until``; drift is from as long a span before.

    ``by``: uncertainty, diversity, drift, random.
    ``probabilities`` and ``columns``: names without ``out.`` and ``in.``. ``rows``: these alone (request id and
    row), in this order, whatever ``by`` says.
    """

    workspace: str
    endpoint: str
    since: datetime
    until: datetime
    count: int
    by: tuple[str, ...]
    probabilities: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    seed: int = 0
    rows: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Template:
    """What the project is like. ``document``: a labelling file; without one, ``task``, and labels as they were seen."""

    name: str
    document: documents.Document | None
    task: str | None = None
    groups: tuple[str, ...] = ()


def template(contexts: Contexts, actor: actors.Actor, workspace: str, project: Any, task: str | None,
             groups: Sequence[str] = ()) -> Template:  # fmt: skip
    """From a rule's words: a file's labelling project, or the name of one that there is.

    Raises NotFound for a name that no project has, where no task says what it would be.
    """
    if isinstance(project, Labeling):
        body = specs.plain(project)
        return Template(project.name, documents.from_model("labeling", body, "rule"), None, tuple(groups))
    with contexts.read(actor, workspace) as ctx:
        known = store.project(ctx, workspace, project)
        if known is None and task is None:
            commands.find(ctx, project)
    found = documents.from_wire(known.document) if known is not None else None
    return Template(project, found, task, tuple(groups))


def open_project(
    contexts: Contexts, actor: actors.Actor, workspace: str, like: Template, wanted: Wanted, name: str,
    opened_by: dict[str, Any],
) -> model.Project:  # fmt: skip
    """A project ``name`` in ``workspace``; one that is there already is left as it is.

    Raises InvalidInput when the window is empty, or holds no column that people could look at.
    """
    with contexts.read(actor, workspace) as ctx:
        known = store.project(ctx, workspace, name)
    if known is not None:
        return known
    rows = _log(contexts, wanted, wanted.since, wanted.until)
    if rows.is_empty():
        raise errors.InvalidInput(
            f"Endpoint {wanted.endpoint} answered nothing between {wanted.since:%Y-%m-%d %H:%M} and "
            f"{wanted.until:%Y-%m-%d %H:%M}"
        )
    body = _body(like, rows, name)
    is_image = body["task"] in OF_IMAGES
    choose = _given if wanted.rows else _choose
    chosen, measured = choose(contexts, wanted, rows, str(body["column"]), is_image)
    asset = _keep(contexts, actor, workspace, wanted, _table(rows, chosen), like)
    body |= {"data": f"azureml:{asset.name}:{asset.version}", "queue": {"by": "given"}}
    if PREDICTION in _names(rows, "out."):
        body["prelabels"] = PREDICTION
    body.setdefault("export", "csv")
    if like.groups:
        body["annotators"] = {**body.get("annotators", {}), "groups": list(like.groups)}
    document = documents.from_model("labeling", body, f"rule of {wanted.workspace}")
    with contexts.read(actor, wanted.workspace) as ctx:
        trained = proposing.trained_by(ctx, wanted.endpoint)
    told = {
        **opened_by, "endpoint": f"{wanted.workspace}/{wanted.endpoint}", "sampled": measured, "rows": rows.height,
        **trained,
    }  # fmt: skip
    return commands.create(contexts, actor, workspace, document, told)


def _log(contexts: Contexts, wanted: Wanted, since: datetime, until: datetime) -> pl.DataFrame:
    rows = endpoints.inferences(contexts, wanted.workspace, wanted.endpoint, since=since, until=until)
    answered = rows.filter(pl.col("status") == 200)
    return answered if wanted.rows else answered.tail(MOST_ROWS)


def _names(rows: pl.DataFrame, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in rows.columns if name.startswith(prefix)]


def _body(like: Template, rows: pl.DataFrame, name: str) -> dict[str, Any]:
    """The new project's file, but for its data."""
    if like.document is not None:
        body = dict(specs.plain(like.document.model))
        for left in ("queue", "images", "prelabels", "$schema"):
            body.pop(left, None)
        body["name"] = name
        if body.get("column") not in _names(rows, "in."):
            body["column"] = _content_column(rows, body["task"])
        return body
    seen = rows[f"out.{PREDICTION}"].cast(pl.String, strict=False).drop_nulls().unique().sort().to_list() if (
        f"out.{PREDICTION}" in rows.columns
    ) else []  # fmt: skip
    if not 2 <= len(seen) <= MOST_LABELS:
        raise errors.InvalidInput(
            f"The answers hold {len(seen)} different predictions, which are no labels to choose from",
            cure="Write the labels in a file: `open_labeling: {project: project.yml}`.",
        )
    return {
        "name": name, "task": like.task, "labels": [{"name": each} for each in seen],
        "column": _content_column(rows, str(like.task)), "output": f"{like.name}-labelled",
    }  # fmt: skip


def _content_column(rows: pl.DataFrame, task: str) -> str:
    """The only column of requests that people can look at: a text, or an image, as bytes or base64."""
    kinds = (pl.String, pl.Binary) if task in OF_IMAGES else (pl.String,)
    held = [name for name in _names(rows, "in.") if rows.schema[f"in.{name}"] in kinds]
    if len(held) != 1:
        what = "images" if task in OF_IMAGES else "text"
        raise errors.InvalidInput(
            f"The requests have {len(held)} columns of {what} ({', '.join(held) or 'none'}), and people look at one",
            cure="Name it in a file: `open_labeling: {project: project.yml}` with `column`.",
        )
    return held[0]


def _given(
    contexts: Contexts, wanted: Wanted, rows: pl.DataFrame, column: str, is_image: bool
) -> tuple[list[int], dict[str, str]]:
    """As ``_choose``, of rows that are named: those that the log still has."""
    places = {
        (str(request), int(number)): at for at, (request, number) in enumerate(rows.select("request_id", "row").rows())
    }
    held = rows[f"in.{column}"]
    chosen = [places[each] for each in wanted.rows if each in places and held[places[each]] is not None]
    if not chosen:
        raise errors.InvalidInput(f"None of the {len(wanted.rows)} examples is in the inference log any more")
    return chosen, {"examples": f"{len(chosen)} of {len(wanted.rows)}, as they were named"}


def _choose(
    contexts: Contexts, wanted: Wanted, rows: pl.DataFrame, column: str, is_image: bool
) -> tuple[list[int], dict[str, str]]:
    """Numbers of rows, and by criterion what it was measured in, or why it was not."""
    orders: list[list[int]] = []
    told: dict[str, str] = {}
    held = pl.col(f"in.{column}")
    filled = held.bin.size() > 0 if rows.schema[f"in.{column}"] == pl.Binary else held.cast(pl.String) != ""
    fresh = rows.with_row_index("__row").filter(held.is_not_null(), filled)
    fresh = fresh.unique(f"in.{column}", keep="first", maintain_order=True)
    numbers = fresh["__row"].to_list()
    for criterion in wanted.by:
        try:
            order, told[criterion] = _order(contexts, wanted, fresh.drop("__row"), column, is_image, criterion)
            orders.append([numbers[row] for row in order])
        except errors.InvalidInput as error:
            told[criterion] = f"not measured: {error.what}"
    if not orders:
        order, told["random"] = _order(contexts, wanted, fresh.drop("__row"), column, is_image, "random")
        orders.append([numbers[row] for row in order])
    chosen = dict.fromkeys(row for turn in zip(*orders, strict=True) for row in turn)
    if not chosen:
        raise errors.InvalidInput(f"Column '{column}' of the requests holds nothing to look at")
    return list(chosen)[: wanted.count], told


def _order(
    contexts: Contexts, wanted: Wanted, rows: pl.DataFrame, column: str, is_image: bool, criterion: str
) -> tuple[list[int], str]:
    if criterion == "random":
        return [int(each) for each in np.random.default_rng(wanted.seed).permutation(rows.height)], "the seed"
    if criterion == "uncertainty":
        names = _probabilities(rows, wanted)
        found = ordering.by_uncertainty(ordering.probabilities(rows, [f"out.{name}" for name in names]))
        return [row for row, _ in found], ", ".join(names)
    names = list(wanted.columns) or [name for name in _names(rows, "in.") if _is_numbers(rows.schema[f"in.{name}"])]
    if criterion == "diversity":
        current = ordering.vectors(rows, [f"in.{name}" for name in names]) if names else (
            _described(rows, rows, column, is_image)[1]
        )  # fmt: skip
        apart = ordering.by_diversity(current, min(wanted.count, ordering.MOST_APART))
        return [row for row, _ in apart], ", ".join(names) or f"what is told of {column}"
    before = _log(contexts, wanted, wanted.since - (wanted.until - wanted.since), wanted.since)
    if before.is_empty():
        raise errors.InvalidInput("nothing came in the window before, which drift is measured from")
    if names:
        reference, current = (ordering.vectors(each, [f"in.{name}" for name in names]) for each in (before, rows))
        return [row for row, _ in ordering.by_drift(reference, current)], ", ".join(names)
    reference, current = _described(before, rows, column, is_image)
    return [row for row, _ in ordering.by_drift(reference, current)], f"what is told of {column}"


def _probabilities(rows: pl.DataFrame, wanted: Wanted) -> list[str]:
    there = _names(rows, "out.")
    if wanted.probabilities:
        return list(wanted.probabilities)
    found = next((name for name in PROBABILITIES if name in there), None)
    if found is not None:
        return [found]
    several = [name for name in there if name.startswith(("probability_", "probability.", "p_", "score_"))]
    if not several:
        raise errors.InvalidInput("the answers hold no probabilities")
    return several


def _is_numbers(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.List | pl.Array):
        return bool(kind.inner.is_numeric())
    return kind.is_numeric()


def _described(
    before: pl.DataFrame, rows: pl.DataFrame, column: str, is_image: bool
) -> tuple[ordering.Matrix, ordering.Matrix]:
    """Texts and images as numbers: how long, how varied, how new; how large, how light, how sharp."""
    if is_image:
        both = [images.describe([pictures.decode(value) for value in each[f"in.{column}"]]) for each in (before, rows)]
    else:
        known = texts.Vocabulary.of(before[f"in.{column}"])
        sides = ((before, known.without_own()), (rows, known))
        both = [texts.describe(each[f"in.{column}"], words).drop("script") for each, words in sides]
    one, two = (ordering.vectors(each.fill_null(0), each.columns) for each in both)
    return one, two


def _table(rows: pl.DataFrame, chosen: Sequence[int]) -> pl.DataFrame:
    """What was asked and answered, under the names that requests and answers have; an input's name wins."""
    ins, outs = _names(rows, "in."), _names(rows, "out.")
    kept = ["request_id", *(["row"] if "row" in rows.columns else []), "time"]
    parts = [pl.col(name) for name in kept if name not in ins]
    parts += [pl.col(f"in.{name}").alias(name) for name in ins]
    parts += [pl.col(f"out.{name}").alias(name) for name in outs if name not in {*ins, *kept}]
    return rows[list(chosen)].select(parts)


def _keep(
    contexts: Contexts, actor: actors.Actor, workspace: str, wanted: Wanted, table: pl.DataFrame, like: Template
) -> Any:  # fmt: skip
    named = like.document.model.data.removeprefix("azureml:").partition("@")[0].partition(":")[0] if (
        like.document is not None
    ) else f"{like.name}-seen"  # fmt: skip
    reference = data.store_bytes(contexts.port(storage.Blobs), "seen.parquet", frames.to_parquet(table))
    judged = contracts.look(contexts, actor, workspace, named, reference)
    with contexts.write(actor, workspace) as ctx:
        return data.add_version(
            ctx, named, reference, "uri_file", rows=table.height, judged=judged,
            sources=(f"endpoint:{wanted.workspace}/{wanted.endpoint}",),
            description=f"what {wanted.workspace}/{wanted.endpoint} saw until {wanted.until:%Y-%m-%d}",
        )  # fmt: skip
