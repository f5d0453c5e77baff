"""Groups of a hold-out that a check compares: by a column, or by what the texts of a column are like."""

from __future__ import annotations

from typing import Any

import polars as pl

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.models import queries as models
from doubleloop.releases import model, scoring, tables
from doubleloop.statistics import texts

ACTOR = actors.service("releases")
# What may follow a column of texts: ``text.length``.
KINDS = ("length", "script", "language")


def groups(contexts: Contexts, question: model.Question, table: tables.Table) -> tuple[dict[str, pl.Series], list[str]]:
    """Name → values, one a row, of what the check calls ``sensitive``; and the models that were asked for them.

    Raises InvalidInput, and what ``scoring.predict`` does.
    """
    found: dict[str, pl.Series] = {}
    asked: list[str] = []
    for name in question.check["sensitive"]:
        column, _, kind = name.rpartition(".")
        if name in table.rows.columns or kind not in KINDS or column not in table.rows.columns:
            found[name] = tables.column(table, name)
            continue
        said = tables.column(table, column)
        if said.dtype != pl.String:
            raise errors.InvalidInput(f"'{name}' asks what texts are like, and '{column}' holds {said.dtype}")
        if kind == "language":
            found[name], version = _languages(contexts, question, said)
            asked.append(version)
        else:
            found[name] = lengths(said) if kind == "length" else texts.describe(said)["script"].fill_null("none")
    return found, asked


def lengths(said: pl.Series) -> pl.Series:
    """Quarters of texts by their number of words: ``1-8 words``; equal bounds fall together."""
    counts = texts.describe(said)["words"].fill_null(0)
    bounds = sorted({int(counts.quantile(share, "lower") or 0) for share in (0.25, 0.5, 0.75, 1.0)})
    low, names = int(counts.min() or 0), {}  # type: ignore[arg-type]
    for bound in bounds:
        names[bound] = f"{low}-{bound} words"
        low = bound + 1
    return pl.Series([names[next(each for each in bounds if count <= each)] for count in counts], dtype=pl.String)


def _languages(contexts: Contexts, question: model.Question, said: pl.Series) -> tuple[pl.Series, str]:
    """As the check's ``language_model`` sees them, and which version it was."""
    reference: Any = question.check.get("language_model")
    if not reference:
        raise errors.InvalidInput(
            "languages are compared, and no `language_model` says them",
            cure="Name a version that `language_detection` of the catalog made, or a column that holds them.",
        )
    with contexts.read(ACTOR, question.workspace) as ctx:
        version = models.resolve(ctx, reference)
    rows = pl.DataFrame({"text": said.fill_null("")})
    found = scoring.predict(contexts, question.workspace, version, rows)
    return pl.Series(found.values, dtype=pl.String, strict=False), f"{version.name}:{version.version}"
