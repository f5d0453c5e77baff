"""One trial of classification or regression: judged on rows that it has not seen, then fitted for good."""

from __future__ import annotations

import argparse
import logging
from typing import Any

import numpy
import pandas
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from . import algorithms, features, metrics, saving, splitting, tables
from .orders import BadData, Orders

LOG = logging.getLogger("doubleloop")


class Rows:
    """``features``: raw columns; ``target``: labels or numbers; ``weights``: or None."""

    def __init__(self, asked: Orders, frame: pandas.DataFrame) -> None:
        there = tables.column(frame, asked.target, "target_column_name").notna().to_numpy()
        if not there.all():
            LOG.info("%d rows without a target are left out", (~there).sum())
        frame = frame[there]
        weights = tables.column(frame, asked.weights, "weight_column_name") if asked.weights else None
        self.frame = frame
        self.target = _target(asked, frame[asked.target])
        self.weights = None if weights is None else weights.to_numpy(dtype=float)
        apart = [asked.target, *asked.fold_columns, *([asked.weights] if asked.weights else [])]
        self.features = frame.drop(columns=[name for name in apart if name in frame.columns])

    def weights_of(self, rows: Any) -> Any:
        return None if self.weights is None else self.weights[rows]


def _target(asked: Orders, column: pandas.Series) -> Any:
    if asked.task == "classification":
        values = column.to_numpy()
        if values.dtype.kind == "f" and (values == values.round()).all():
            return values.astype(int)
        return values if values.dtype.kind in "iub" else numpy.array([str(value) for value in values])
    numbers = pandas.to_numeric(column, errors="coerce")
    if numbers.isna().any():
        odd = column[numbers.isna()].iloc[0]
        raise BadData("the target '%s' is to be a number, and one is %r" % (asked.target, odd))
    return numbers.to_numpy(dtype=float)


def trial(asked: Orders, given: argparse.Namespace) -> None:
    train_frame, _ = splitting.without_test(asked, tables.load(given.training))
    rows = Rows(asked, train_frame)
    if asked.task == "classification" and len(numpy.unique(rows.target)) < 2:
        raise BadData("the target '%s' has one label only, so there is nothing to tell apart" % asked.target)
    pipeline = Pipeline([*features.build(rows.features, asked.featurization), *algorithms.steps(asked)])
    if given.validation:
        judged = Rows(asked, tables.load(given.validation))
        fitted = _fit(pipeline, rows, slice(None))
        result = _Judged(asked, rows.target)
        result.add(_predicted(asked, fitted, judged.features, result.classes), judged.target, judged.weights, 0)
    else:
        result, fitted = _validated(asked, pipeline, rows)
    result.tell(asked, given.state)
    saving.model(asked, fitted, rows.features, given.model)


def _validated(asked: Orders, pipeline: Pipeline, rows: Rows) -> tuple[_Judged, Any]:
    folds, is_cross = splitting.folds(asked, rows.frame)
    result = _Judged(asked, rows.target)
    fitted = None
    for number, (train, held) in enumerate(folds):
        fitted = _fit(clone(pipeline), rows, train)
        found = _predicted(asked, fitted, rows.features.iloc[held], result.classes)
        result.add(found, rows.target[held], rows.weights_of(held), number)
    return result, _fit(clone(pipeline), rows, slice(None)) if is_cross else fitted


def _fit(pipeline: Pipeline, rows: Rows, chosen: Any) -> Pipeline:
    table, target, weights = rows.features.iloc[chosen], rows.target[chosen], rows.weights_of(chosen)
    if weights is None:
        return pipeline.fit(table, target)
    try:
        return pipeline.fit(table, target, model__sample_weight=weights)
    except TypeError:
        LOG.info("this algorithm takes no weights: the rows count alike")
        return pipeline.fit(table, target)


def _predicted(asked: Orders, fitted: Any, table: pandas.DataFrame, classes: Any) -> Any:
    """Numbers, or a probability for each of ``classes``."""
    return aligned(fitted, table, classes) if asked.task == "classification" else fitted.predict(table)


def aligned(fitted: Any, table: pandas.DataFrame, classes: Any) -> Any:
    """(n, k) probabilities in the order of ``classes``; of a class that the model does not know, 0."""
    found = numpy.zeros((len(table), len(classes)))
    places = {name: number for number, name in enumerate(classes)}
    given = fitted.predict_proba(table)
    for number, name in enumerate(fitted.classes_):
        if name in places:
            found[:, places[name]] = given[:, number]
    return found


class _Judged:
    """Predictions on rows that were not trained on, fold by fold, and what they are worth."""

    def __init__(self, asked: Orders, target: Any) -> None:
        self.classes = numpy.unique(target) if asked.task == "classification" else None
        self.range = (0.0, 1.0) if self.classes is not None else (float(target.min()), float(target.max()))
        self._asked = asked
        self._truth: list[Any] = []
        self._found: list[Any] = []
        self._fold: list[int] = []
        self._weights: list[Any] = []
        self._metrics: list[dict[str, float]] = []

    def add(self, found: Any, truth: Any, weights: Any, fold: int) -> None:
        if self.classes is not None:
            known = numpy.isin(truth, self.classes)
            if not known.all():
                raise BadData("rows to judge by have the label %r, which no row to train on has" % truth[~known][0])
        self._metrics.append(measured(self._asked, truth, found, self.classes, self.range, weights))
        self._truth.append(numpy.searchsorted(self.classes, truth) if self.classes is not None else truth)
        self._found.append(found)
        self._fold += [fold] * len(truth)
        self._weights.append(numpy.ones(len(truth)) if weights is None else weights)

    def tell(self, asked: Orders, folder: str) -> None:
        averaged = metrics.averaged(self._metrics)
        tags = {"algorithm": asked.algorithm, "folds": len(self._metrics)}
        saving.log(averaged, asked.metric, tags)
        saving.keep(
            folder, numpy.concatenate(self._truth), numpy.concatenate(self._found), numpy.array(self._fold),
            weights=numpy.concatenate(self._weights), range=numpy.array(self.range),
        )  # fmt: skip


def measured(
    asked: Orders, truth: Any, found: Any, classes: Any | None, span: tuple[float, float], weights: Any
) -> dict[str, float]:
    if classes is not None:
        return metrics.classification(truth, found, classes, weights, asked.positive_label)
    return metrics.regression(truth, found, span[0], span[1], weights)
