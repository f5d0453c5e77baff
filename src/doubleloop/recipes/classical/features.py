"""From the columns of a table to what an estimator learns from."""

from __future__ import annotations

from dataclasses import dataclass

import pandas
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from ..shared.problems import BadData

_MOST_TEXTS = 0.5  # share of different texts among the rows, from which on a column names its row
_RARE = 0.002  # share of rows, below which values of a column are taken together


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are learned from, by kind."""

    numbers: list[str]
    words: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.numbers, *self.words]


def choose(frame: pandas.DataFrame, apart: list[str], where: str) -> Columns:
    """Numbers (and true or false) as they are, texts as categories; dates, texts that are different in most rows and
    columns of one value are left out with a notice. Raises BadData when nothing is left."""
    numbers: list[str] = []
    words: list[str] = []
    for name in frame.columns:
        if name in apart:
            continue
        why = _useless(frame[name])
        if why:
            print(f"note: column '{name}' is left out: {why}")
        elif pandas.api.types.is_numeric_dtype(frame[name]):
            numbers.append(name)
        else:
            words.append(name)
    if not (numbers or words):
        raise BadData(f"{where} has no column to learn from beside {', '.join(apart)}; give columns that differ by row")
    return Columns(numbers, words)


def _useless(values: pandas.Series) -> str:
    known = values.dropna()
    if known.nunique() < 2:
        return "it has one value"
    if pandas.api.types.is_datetime64_any_dtype(values):
        return "it is a time; make numbers of it (hour, weekday) before"
    is_text = not pandas.api.types.is_numeric_dtype(values)
    if is_text and len(known) >= 20 and known.nunique() > _MOST_TEXTS * len(known):
        return "its texts differ from row to row"
    return ""


def prepared(columns: Columns, estimator: object, *, degree: int = 1, scaled: bool = True) -> Pipeline:
    """A pipeline from raw rows to the estimator: missing numbers become the median, missing texts a category of their
    own; ``degree`` adds products of the numbers up to it."""
    numeric: list[tuple[str, object]] = [("gaps", SimpleImputer(strategy="median"))]
    if scaled:
        numeric.append(("scale", StandardScaler()))
    if degree > 1:
        numeric.append(("products", PolynomialFeatures(degree, include_bias=False)))
        numeric.append(("again", StandardScaler()))
    categorical = [
        ("gaps", SimpleImputer(strategy="constant", fill_value="(missing)")),
        ("codes", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=_RARE, sparse_output=False)),
    ]
    parts = [("numbers", Pipeline(numeric), columns.numbers), ("words", Pipeline(categorical), columns.words)]
    return Pipeline([("columns", ColumnTransformer([each for each in parts if each[2]])), ("model", estimator)])


def rows(frame: pandas.DataFrame, columns: Columns) -> pandas.DataFrame:
    """The columns that are learned from, texts as texts, in an order that stays."""
    found = frame[columns.all].copy()
    for name in columns.words:
        found[name] = found[name].map(lambda value: str(value) if pandas.notna(value) else None).astype(object)
    return found
