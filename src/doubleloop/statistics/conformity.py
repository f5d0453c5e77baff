"""Whether values can be read as the type the reference has: the ground of data_type_error_rate.

Azure counts what Spark's ``cast`` turns into null (azureml-assets ``compute_data_quality_metrics.py``). This is that
cast without its surprises: text reads as a number when it is one (a fraction reads as an integer too, cut off, as
Spark does), as a boolean when it says true/false, t/f, yes/no, y/n or 1/0, as a date or time in ISO 8601;
anything can be text. A missing value is never an error.
"""

from __future__ import annotations

from datetime import datetime, time

import polars as pl

from doubleloop.statistics import schema

_BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True,
             "false": False, "f": False, "no": False, "n": False, "0": False}  # fmt: skip
_TEMPORAL = {schema.Type.DATE, schema.Type.TIMESTAMP}


def conform(column: pl.Series, wanted: schema.Type) -> tuple[pl.Series, int]:
    """``column`` read as ``wanted`` (what cannot be read becomes null) and how many values could not be read.

    A type outside the supported ones is not judged: the column comes back as it is, with no errors.
    """
    found = schema.type_of(column.dtype)
    if schema.Type.UNSUPPORTED in (found, wanted) and column.dtype != pl.Null:
        return column, 0
    if found is wanted:
        return column, 0
    read = _read(column, found, wanted)
    return read, read.null_count() - column.null_count()


def _read(column: pl.Series, found: schema.Type, wanted: schema.Type) -> pl.Series:
    if column.dtype == pl.Null:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    if wanted is schema.Type.STRING:
        return _as_text(column, found)
    if wanted in schema.NUMBERS:
        return _as_number(column, found, wanted)
    if wanted is schema.Type.BOOLEAN:
        return _as_boolean(column, found)
    if wanted is schema.Type.BINARY and found is schema.Type.STRING:
        return column.cast(pl.String).cast(pl.Binary)
    if wanted in _TEMPORAL or wanted is schema.Type.TIME:
        return _as_moment(column, found, wanted)
    return _nothing(column)


def _as_text(column: pl.Series, found: schema.Type) -> pl.Series:
    if found is schema.Type.BINARY:
        return pl.Series(column.name, [_decoded(value) for value in column], dtype=pl.String)
    return column.cast(pl.String)


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _as_number(column: pl.Series, found: schema.Type, wanted: schema.Type) -> pl.Series:
    if found is schema.Type.STRING:
        column = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        # The text "nan" is a missing value someone wrote down, not a wrong type: it stays NaN.
    elif found is schema.Type.BOOLEAN:
        column = column.cast(pl.Float64)
    elif found not in schema.NUMBERS:
        return _nothing(column)
    if wanted is schema.Type.FLOAT or not column.dtype.is_float():
        return column
    return column.set(column.is_infinite(), None)


def _as_boolean(column: pl.Series, found: schema.Type) -> pl.Series:
    if found in schema.NUMBERS:
        return column != 0
    if found is not schema.Type.STRING:
        return _nothing(column)
    text = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    return text.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)


def _as_moment(column: pl.Series, found: schema.Type, wanted: schema.Type) -> pl.Series:
    if found in _TEMPORAL and wanted in _TEMPORAL:
        return column
    if found is not schema.Type.STRING:
        return _nothing(column)
    text = column.cast(pl.String)
    readable = [known for known in text.drop_nulls().unique() if _is_moment(known, wanted)]
    return text.set(~text.is_in(readable), None)


def _is_moment(text: str, wanted: schema.Type) -> bool:
    read = time.fromisoformat if wanted is schema.Type.TIME else datetime.fromisoformat
    try:
        read(text.strip())
    except ValueError:
        return False
    return True


def _nothing(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None] * len(column), dtype=pl.String)
