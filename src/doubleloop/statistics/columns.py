"""One way into this room: whatever a caller holds (polars, pyarrow, numpy, a list) as numbers or as counted labels.

Missing means null *or* NaN everywhere in this room, as Spark's ``dropna`` and pandas have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from doubleloop.base import errors

Column: TypeAlias = pl.Series | pa.Array | pa.ChunkedArray | NDArray[Any] | Sequence[Any]
Table: TypeAlias = pl.DataFrame | pa.Table | pa.RecordBatch | Mapping[str, Any]
Floats: TypeAlias = NDArray[np.float64]

_EXACT_INTEGERS = float(2**53)
_LARGEST = 2**63


def series(values: Column, name: str = "") -> pl.Series:
    """``values`` as a polars Series. Raises InvalidInput when the values have no common type."""
    if isinstance(values, pl.Series):
        return values
    try:
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            converted = pl.from_arrow(values)
            return converted if isinstance(converted, pl.Series) else converted.to_series()
        if isinstance(values, np.ndarray) and values.dtype == object:
            values = values.tolist()
        return pl.Series(name, values)
    except (pl.exceptions.PolarsError, pa.ArrowException, TypeError, ValueError) as problem:
        raise errors.InvalidInput(
            f"column '{name}' cannot be read: {problem}", cure="Give it values of one type (or nulls)."
        ) from problem


def table(data: Table) -> pl.DataFrame:
    """``data`` as a polars DataFrame. Raises InvalidInput for ragged columns and doubled names."""
    if isinstance(data, pl.DataFrame):
        return data
    try:
        if isinstance(data, (pa.Table, pa.RecordBatch)):
            converted = pl.from_arrow(data)
            return converted if isinstance(converted, pl.DataFrame) else converted.to_frame()
        return pl.DataFrame({name: series(values, name) for name, values in data.items()})
    except (pl.exceptions.PolarsError, pa.ArrowException) as problem:
        raise errors.InvalidInput(
            f"the table cannot be read: {problem}",
            cure="Give columns of equal length and a different name for each.",
        ) from problem


def numbers(values: Column) -> Floats:
    """The values that are there, as float64, in their order; nulls and NaN left out.

    Booleans count as 0 and 1, decimals lose what float64 cannot hold. Raises InvalidInput for text and dates.
    """
    found = with_holes(values)
    there = ~np.isnan(found)
    return found if there.all() else found[there]


def ordered(values: Column, without: NDArray[np.int64] | None = None, space: Floats | None = None) -> Floats:
    """The same, sorted, ``without`` some rows. Never a view of ``values``; one of ``space`` where that is given."""
    column = series(values)
    if column.dtype.is_numeric() and column.dtype not in (pl.Decimal, pl.Int128):
        found, start = np.empty(len(column)) if space is None else space, 0
        for part in column.get_chunks():  # no copy of the whole in between
            found[start : start + len(part)] = part.to_numpy()  # a null becomes NaN
            start += len(part)
    else:
        found = _as_floats(column).to_numpy(writable=True)
    if without is not None:
        found[without] = math.nan
    found.sort()  # NaN comes last
    return found[: int(np.searchsorted(found, math.nan))]


def with_holes(values: Column) -> Floats:
    """Every value as float64, NaN where there is none. Raises InvalidInput for text and dates."""
    return _as_floats(series(values)).to_numpy()


def _as_floats(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds()
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise errors.InvalidInput(
            f"column '{column.name}' holds {column.dtype}, not numbers",
            cure="Judge it as categorical, or cast it first.",
        )
    return column if column.dtype == pl.Float64 else column.cast(pl.Float64)


def present(values: Column) -> pl.Series:
    """The column without nulls and, when it holds floats, without NaN; durations as whole microseconds."""
    column = series(values)
    column = column.drop_nulls() if column.null_count() else column
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds()
    return column.drop_nans() if column.dtype.is_float() and missing(column) else column


def present_mask(column: pl.Series) -> pl.Series:
    """True where the column has a value: not null, not NaN."""
    held = column.is_not_null()
    return held & column.is_not_nan().fill_null(False) if column.dtype.is_float() else held


def missing(column: pl.Series) -> int:
    """How many values are null or NaN."""
    if not column.dtype.is_float():
        return column.null_count()
    return sum(int(np.count_nonzero(np.isnan(part.to_numpy()))) for part in column.get_chunks())  # a null becomes NaN


def holds_values(column: pl.Series) -> bool:
    """Whether any value is there."""
    if column.dtype.is_float() and len(column) and math.isnan(column[0] or math.nan):
        return missing(column) < len(column)
    return column.null_count() < len(column)


def labels(values: Column) -> pl.Series:
    """The values that are there, as text. ``3`` and ``3.0`` are the same label, so that a column which became
    float because of one null still matches its reference. Raises InvalidInput for nested values."""
    return as_labels(present(values))


def as_labels(values: Column) -> pl.Series:
    """The same for every row, null where nothing is there."""
    column = series(values)
    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds()
    if column.dtype == pl.Binary:
        return column.bin.encode("hex")
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise errors.InvalidInput(
            f"column '{column.name}' holds nested values ({column.dtype}), which are not categories",
            cure="Leave it out of the signal's features, or unnest it in a pre-processing step.",
        )
    if column.dtype.is_float():
        return _labels_of_floats(column)
    return column.cast(pl.String)


def _labels_of_floats(column: pl.Series) -> pl.Series:
    whole = (column == column.floor()) & (column.abs() < _EXACT_INTEGERS)
    as_integers = column.cast(pl.Int64, strict=False).cast(pl.String)
    found = as_integers.zip_with(whole.fill_null(False), column.cast(pl.String))
    return found.set(column.is_nan().fill_null(False), None)


def counts(values: Column) -> dict[str, int]:
    """How often each label occurs, in the labels' order."""
    return counts_without(values, None)


def counts_without(values: Column, without: NDArray[np.int64] | None) -> dict[str, int]:
    """The same ``without`` some rows."""
    column = series(values)
    if column.dtype in (pl.Categorical, pl.Enum):
        return _counts_of_codes(column, without)
    found = _counts(column)
    if without is None or not len(without):
        return found
    for label, count in _counts(column[without]).items():
        found[label] -= count
    return {label: count for label, count in found.items() if count}


def _counts_of_codes(column: pl.Series, without: NDArray[np.int64] | None) -> dict[str, int]:
    """Of texts that are held as numbers of labels: the numbers are counted."""
    found = np.zeros(0, dtype=np.int64)
    codes = column.to_physical()
    parts = [(codes, 1)] if without is None or not len(without) else [(codes, 1), (codes[without], -1)]
    for held, sign in parts:
        for part in held.get_chunks():
            part = part.drop_nulls() if part.null_count() else part
            some = np.bincount(part.to_numpy(), minlength=len(found))
            found = np.pad(found, (0, len(some) - len(found))) + sign * some
    there = np.flatnonzero(found)
    names = pl.Series(there, dtype=codes.dtype).cat.to(column.dtype).cast(pl.String).to_list()
    return dict(sorted(zip(names, found[there].tolist(), strict=True)))


def _counts(values: pl.Series) -> dict[str, int]:
    column = present(values)
    if not len(column):
        return {}
    if column.dtype == pl.Boolean:
        true = int(column.sum())
        return {label: count for label, count in (("false", len(column) - true), ("true", true)) if count}
    if column.dtype.is_integer():
        least, most = int(column.min()), int(column.max())  # type: ignore[arg-type]
        if most - least < len(column) and most < _LARGEST:
            return _counts_of_few(column.cast(pl.Int64).to_numpy() - least, least)
    tally = column.alias("value").value_counts(name="count")
    # Values of one label are counted together: 0.0 and -0.0, and what differs only in how it is stored.
    tally = tally.select(labels(tally["value"]).alias("label"), "count").group_by("label").agg(pl.col("count").sum())
    tally = tally.sort("label")
    return dict(zip(tally["label"].to_list(), tally["count"].to_list(), strict=True))


def _counts_of_few(places: NDArray[np.int64], least: int) -> dict[str, int]:
    found = np.bincount(places)
    return dict(sorted((str(least + int(place)), int(found[place])) for place in np.flatnonzero(found)))


def align(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[Floats, Floats]:
    """Two tallies as two vectors over the union of their labels, in the labels' order."""
    union = sorted(reference.keys() | current.keys())
    return (
        np.array([reference.get(label, 0) for label in union], dtype=np.float64),
        np.array([current.get(label, 0) for label in union], dtype=np.float64),
    )
