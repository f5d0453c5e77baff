"""True values and what was answered, side by side: out of the log, its labels, and data assets that a file names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.monitoring import model, rules, windows
from doubleloop.statistics import columns

# Columns that joining adds, by names that no file's column has: two tables may call the truth and the answer alike.
_KEY = "\0key"
_ROLES = ("target_column", "prediction")


def joined(task: windows.Task, parts: Sequence[Any]) -> pl.DataFrame:
    """The data assets among ``parts`` as one table: several are joined by their columns ``correlation_id``, as texts.
    Of several true values of one id the last counts. Raises InvalidInput when one of several names none, or one that
    it does not have."""
    assets = [each for each in parts if rules.names_asset(each)]
    tables = [_marked(windows.table(task, each), each) for each in assets]
    if len(assets) == 1:
        return tables[0]
    keyed = [_keyed(found, each) for found, each in zip(tables, assets, strict=True)]
    rows = keyed[0]
    for index, other in enumerate(keyed[1:], 2):
        rows = rows.join(other, on=_KEY, how="inner", suffix=f" (of table {index})")
    return rows.drop(_KEY)


def named(rows: pl.DataFrame, parts: Sequence[Any], what: str) -> pl.Series:
    """The column that the file names as ``target_column`` or ``prediction``, of ``joined``. Raises InvalidInput."""
    if _role(what) in rows.columns:
        return rows[_role(what)]
    said = [_names(each, what) for each in parts if rules.names_asset(each)]
    chosen = next((each for each in said if each), None)
    raise errors.InvalidInput(
        f"The data has no column '{chosen}', its {what}" if chosen else f"The data has no column of its {what}",
        cure=f"Name data_column_names.{what} of the data.",
    )


def of_log(task: windows.Task, window: model.Window, reference: Any) -> pl.DataFrame:
    """Answered rows of the window that have their true value, in ``label``: what came as labels, else what the data
    asset ``reference`` says of a request id (of its first row), or of ``ID_ROW``. Raises InvalidInput, and NotFound for
    an asset that is not there when no label is either."""
    rows = windows.labelled(task, window)
    if not rules.names_asset(reference):
        return rows
    others = windows.log(task, window).join(rows, on=["request_id", "row"], how="anti")
    if others.is_empty():
        return rows
    try:
        found = _told(others, _truth(task, reference))
    except errors.NotFound:
        if rows.is_empty():
            raise
        return rows
    return found if rows.is_empty() else pl.concat([_same(rows, found), _same(found, rows)], how="vertical")


def _truth(task: windows.Task, reference: Any) -> pl.DataFrame:
    told = _keyed(_marked(windows.table(task, reference), reference), reference)
    return told.select(_KEY, named(told, [reference], "target_column").alias("label"))


def _told(rows: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Rows of the log with what the asset says of them."""
    by_row = pl.concat_str("request_id", pl.lit("_"), "row")
    exact = rows.with_columns(by_row.alias(_KEY)).join(truth, on=_KEY, how="inner").drop(_KEY)
    first = rows.filter(pl.col("row") == 0).join(exact, on=["request_id", "row"], how="anti")
    return pl.concat([exact, first.join(truth.rename({_KEY: "request_id"}), on="request_id", how="inner")])


def _same(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Numbers stay numbers where both sides' labels are; else all are texts."""
    if rows["label"].dtype.is_numeric() and others["label"].dtype.is_numeric():
        return rows.with_columns(pl.col("label").cast(pl.Float64))
    return rows.with_columns(columns.as_labels(rows["label"]).alias("label"))


def _role(what: str) -> str:
    return f"\0{what}"


def _names(part: Any, what: str) -> str | None:
    found: str | None = getattr(part.data_column_names, what, None)
    return found


def _marked(rows: pl.DataFrame, part: Any) -> pl.DataFrame:
    """With the truth and the answer that this part names under names of their own."""
    named = {what: _names(part, what) for what in _ROLES}
    return rows.with_columns(pl.col(name).alias(_role(what)) for what, name in named.items() if name in rows.columns)


def _keyed(rows: pl.DataFrame, part: Any) -> pl.DataFrame:
    key = _names(part, "correlation_id")
    if key not in rows.columns:
        raise errors.InvalidInput(
            "Data assets are joined by correlation_id, and one of them has no such column"
            + (f" ('{key}' of {part.input_data.path})" if key else f" (none is named of {part.input_data.path})"),
            cure="Name data_column_names.correlation_id of each.",
        )
    keyed = rows.with_columns(columns.as_labels(rows[key]).alias(_KEY)).filter(pl.col(_KEY).is_not_null())
    is_truth = _role("target_column") in rows.columns and _role("prediction") not in rows.columns
    return keyed.unique(_KEY, keep="last", maintain_order=True) if is_truth else keyed
