"""What each column of a table is, and how its raw values are read: part of every model, so that it takes raw rows."""

from __future__ import annotations

import re
from typing import Any

import numpy
import pandas
from pandas.api import types
from sklearn.base import BaseEstimator, TransformerMixin

NUMERIC, CATEGORICAL, HASHED = "Numeric", "Categorical", "CategoricalHash"
DATE, TEXT, IGNORED = "DateTime", "Text", "Ignore"

# A column of texts is a text to read, not a set of names, from so many words on.
_WORDS_OF_TEXT = 4.0
_HASHED_ABOVE = 100  # different values
_LOOK_AT = 500  # values that tell what a column of texts holds
_MOSTLY = 0.95
_IS_DATE = re.compile(r"\d.*[-/:.]\d|\d\s+\w+\s+\d{4}")
_PARTS = ("year", "quarter", "month", "day", "day_of_week", "day_of_year", "hour", "minute", "second")
_CLOCK = _PARTS[6:]


def kinds(frame: pandas.DataFrame, said: dict[str, str], automatic: bool = True) -> dict[str, str]:
    """Column → its kind. ``said`` decides before what the values look like; without ``automatic`` nothing is ignored
    and no text or date is taken apart: what is no number is a category."""
    found = {}
    for name in frame.columns:
        kind = {"Hashes": IGNORED}.get(said.get(name, ""), said.get(name)) or _kind(frame[name], automatic)
        found[str(name)] = str(kind)
    return found


def _kind(column: pandas.Series, automatic: bool) -> str:
    if not automatic:
        return NUMERIC if types.is_numeric_dtype(column) and not types.is_bool_dtype(column) else CATEGORICAL
    values = column.dropna()
    if values.nunique() < 2:
        return IGNORED  # nothing to learn from
    if types.is_bool_dtype(column):
        return CATEGORICAL
    if types.is_numeric_dtype(column):
        return IGNORED if _counts_rows(values) else NUMERIC
    if types.is_datetime64_any_dtype(column):
        return DATE
    return _kind_of_texts(values.astype(str))


def _counts_rows(values: pandas.Series) -> bool:
    """Whole numbers that are all different and lie close together number the rows."""
    if not types.is_integer_dtype(values) or len(values) < 50 or values.nunique() < len(values):
        return False
    return bool(values.max() - values.min() < 1.05 * len(values))


def _kind_of_texts(values: pandas.Series) -> str:
    sample = values.iloc[:_LOOK_AT]
    if pandas.to_numeric(sample, errors="coerce").notna().mean() >= _MOSTLY:
        return NUMERIC
    if sample.str.contains(_IS_DATE).mean() >= _MOSTLY and dates(sample).notna().mean() >= _MOSTLY:
        return DATE
    if sample.str.split().str.len().mean() >= _WORDS_OF_TEXT:
        return TEXT
    different = values.nunique()
    if different > 20 and different >= _MOSTLY * len(values):
        return IGNORED  # a name of the row
    return HASHED if different > _HASHED_ABOVE else CATEGORICAL


def dates(values: pandas.Series) -> pandas.Series:
    """Times without a zone; what is none is missing."""
    found = pandas.to_datetime(values, errors="coerce", utc=True, format=None if _is_time(values) else "mixed")
    return found.dt.tz_localize(None)


def _is_time(values: pandas.Series) -> bool:
    return bool(types.is_datetime64_any_dtype(values))


def word(value: Any) -> Any:
    """A category's name: 1, 1.0 and "1" are the same one."""
    if value is None or value is pandas.NA or value is pandas.NaT:
        return numpy.nan
    if isinstance(value, (float, numpy.floating)):
        return numpy.nan if numpy.isnan(value) else str(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


class Columns(TransformerMixin, BaseEstimator):
    """Raw rows as columns of known types: numbers as floats, categories and texts as texts, dates as numbers.

    ``of_kind``: column → kind. Columns that are not named there are left out; one that is missing is an error.
    """

    def __init__(self, of_kind: dict[str, str]) -> None:
        self.of_kind = of_kind

    def fit(self, X: pandas.DataFrame, y: Any = None) -> Columns:
        self.feature_names_in_ = numpy.asarray([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.parts_: dict[str, list[str]] = {}
        for name, kind in self.of_kind.items():
            if kind == DATE:
                times = dates(X[name])
                clock = [part for part in _CLOCK if (getattr(times.dt, part).fillna(0) != 0).any()]
                self.parts_[name] = [*_PARTS[:6], *clock]
        return self

    def transform(self, X: pandas.DataFrame) -> pandas.DataFrame:
        missing = [name for name, kind in self.of_kind.items() if kind != IGNORED and name not in X.columns]
        if missing:
            raise ValueError("the rows have no column %s, which the model was trained on" % ", ".join(missing))
        made: dict[str, Any] = {}
        for name, kind in self.of_kind.items():
            if kind == NUMERIC:
                made[name] = pandas.to_numeric(X[name], errors="coerce").astype(float).to_numpy()
            elif kind in (CATEGORICAL, HASHED):
                made[name] = numpy.array([word(value) for value in X[name]], dtype=object)
            elif kind == TEXT:
                made[name] = numpy.array(["" if pandas.isna(value) else str(value) for value in X[name]], dtype=object)
            elif kind == DATE:
                times = dates(X[name])
                for part in self.parts_[name]:
                    made[part_name(name, part)] = getattr(times.dt, part).astype(float).to_numpy()
        return pandas.DataFrame(made, index=X.index)


def part_name(column: str, part: str) -> str:
    return "%s.%s" % (column, part)
