"""From raw rows to a matrix of numbers: imputing, encoding, reading texts; fitted inside the model."""

from __future__ import annotations

from typing import Any

import numpy
import pandas
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from . import columns
from .orders import BadData

_STRATEGIES = ("mean", "median", "most_frequent", "constant", "ffill")
_WORDS = ("max_df", "min_df", "max_features", "lowercase", "use_idf", "smooth_idf", "sublinear_tf", "binary")
_BITS = 8


class Hashed(TransformerMixin, BaseEstimator):
    """Categories of many values as 2 ** ``bits`` columns by their hash."""

    def __init__(self, bits: int = _BITS) -> None:
        self.bits = bits

    def fit(self, X: Any, y: Any = None) -> Hashed:
        self.n_features_in_ = pandas.DataFrame(X).shape[1]
        return self

    def transform(self, X: Any) -> Any:
        rows = [["%d=%s" % pair for pair in enumerate(row)] for row in pandas.DataFrame(X).to_numpy()]
        return FeatureHasher(2**self.bits, input_type="string", alternate_sign=False).transform(rows)


class Dense(TransformerMixin, BaseEstimator):
    """A matrix with its zeros written out, for estimators that take no other."""

    def fit(self, X: Any, y: Any = None) -> Dense:
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X.toarray() if sparse.issparse(X) else numpy.asarray(X)


def build(table: pandas.DataFrame, settings: dict[str, Any]) -> list[tuple[str, Any]]:
    """The first steps of a model's pipeline, for rows that look like ``table``. Raises BadData."""
    automatic = settings.get("mode", "auto") != "off"
    said = settings.get("column_name_and_types") or {}
    for name in said:
        if name not in table.columns:
            raise BadData("column_name_and_types names '%s', which is no column of features" % name)
    of_kind = columns.kinds(table, said, automatic)
    blocked = set(settings.get("blocked_transformers") or ())
    if {"TfIdf", "CountVectorizer"} <= blocked:
        of_kind = {name: columns.IGNORED if kind == columns.TEXT else kind for name, kind in of_kind.items()}
    reader = columns.Columns(of_kind).fit(table)
    parts = _transformers(reader, of_kind, settings, blocked, automatic)
    if not parts:
        raise BadData("no column is left to learn from: each is constant, names the row, or is to be ignored")
    return [("columns", columns.Columns(of_kind)), ("features", ColumnTransformer(parts, sparse_threshold=0.3))]


def _transformers(
    reader: columns.Columns, of_kind: dict[str, str], settings: dict[str, Any], blocked: set, automatic: bool
) -> list[tuple[str, Any, Any]]:
    by_kind: dict[str, list[str]] = {}
    for name, kind in of_kind.items():
        by_kind.setdefault(kind, []).append(name)
    parts: list[tuple[str, Any, Any]] = []
    imputing = _imputing(settings, of_kind)
    for strategy, names in _grouped(by_kind.get(columns.NUMERIC, []), imputing).items():
        parts.append(("numbers_%d" % len(parts), _imputer(strategy, "mean", automatic), names))
    dated = [columns.part_name(name, part) for name in reader.parts_ for part in reader.parts_[name]]
    if dated:
        parts.append(("dates", SimpleImputer(strategy="median", keep_empty_features=True), dated))
    hashed = by_kind.get(columns.HASHED, [])
    named = by_kind.get(columns.CATEGORICAL, [])
    if "HashOneHotEncoder" in blocked or not automatic:
        named, hashed = [*named, *hashed], []
    for strategy, names in _grouped(named, imputing).items():
        steps = [("imputer", _imputer(strategy, "most_frequent", False)), ("encoder", _encoder(blocked, automatic))]
        parts.append(("categories_%d" % len(parts), Pipeline(steps), names))
    if hashed:
        parts.append(
            ("hashed", Hashed(int(_parameter(settings, "HashOneHotEncoder", "number_of_bits", _BITS))), hashed)
        )
    parts += [("text_%d" % number, _reader(settings, name, blocked), name)
              for number, name in enumerate(by_kind.get(columns.TEXT, []))]  # fmt: skip
    return parts


def _encoder(blocked: set, automatic: bool) -> Any:
    if "OneHotEncoder" in blocked or not automatic:
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=columns._HASHED_ABOVE)


def _reader(settings: dict[str, Any], name: str, blocked: set) -> Any:
    given: dict[str, Any] = {}
    for each in (settings.get("transformer_params") or {}).get("TfIdf") or ():
        if not each.get("fields") or name in each["fields"]:
            given.update({key: value for key, value in (each.get("parameters") or {}).items() if key in _WORDS})
    for key in ("max_features", "min_df", "max_df"):
        if isinstance(given.get(key), float) and given[key] >= 1:
            given[key] = int(given[key])
    options = {"max_features": 2000, "ngram_range": (1, 2), "strip_accents": "unicode", **given}
    if "TfIdf" not in blocked:
        return TfidfVectorizer(**options)
    return CountVectorizer(**{key: value for key, value in options.items() if key not in _WORDS[4:7]})


# -- imputing ----------------------------------------------------------------------------------------------------------


def _imputing(settings: dict[str, Any], of_kind: dict[str, str]) -> dict[str, tuple[str, Any]]:
    """Column → (strategy, value), where the file says so. Raises BadData."""
    found = {}
    for each in (settings.get("transformer_params") or {}).get("Imputer") or ():
        given = each.get("parameters") or {}
        strategy = str(given.get("strategy") or "mean").lower()
        if strategy not in _STRATEGIES:
            raise BadData("imputer: '%s' is not one of %s" % (strategy, ", ".join(_STRATEGIES)))
        for name in each.get("fields") or list(of_kind):
            if of_kind.get(name) in (columns.CATEGORICAL, columns.HASHED) and strategy in ("mean", "median"):
                raise BadData("imputer: '%s' is a category and has no %s" % (name, strategy))
            found[name] = (strategy, given.get("fill_value"))
    return found


def _grouped(names: list[str], imputing: dict[str, tuple[str, Any]]) -> dict[Any, list[str]]:
    groups: dict[Any, list[str]] = {}
    for name in names:
        groups.setdefault(imputing.get(name), []).append(name)
    return groups


def _imputer(wanted: Any, default: str, marks: bool) -> SimpleImputer:
    """``marks``: a column beside it tells which values were missing. ffill, of time series, was done before."""
    strategy, value = wanted or (default, None)
    if strategy == "ffill":
        strategy = default
    options: dict[str, Any] = {}
    if strategy == "constant" and default == "mean":
        options["fill_value"] = float(value or 0)
    elif strategy == "constant":
        options["fill_value"] = "missing" if value is None else str(value)
    return SimpleImputer(strategy=strategy, add_indicator=marks, keep_empty_features=True, **options)


def _parameter(settings: dict[str, Any], transformer: str, name: str, default: Any) -> Any:
    for each in (settings.get("transformer_params") or {}).get(transformer) or ():
        if (each.get("parameters") or {}).get(name) is not None:
            return each["parameters"][name]
    return default
