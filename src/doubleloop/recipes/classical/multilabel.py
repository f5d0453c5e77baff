"""Classification of rows with any number of labels at once."""

from __future__ import annotations

import argparse
from typing import Any

import numpy
import pandas
from sklearn import metrics
from sklearn.base import BaseEstimator
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline

from ..shared import evaluations, saving, tables
from ..shared.problems import BadData
from . import classification, features, inputs


class Labelling(BaseEstimator):
    """``predict`` gives a frame with a column for each label, 1 where a row has it."""

    def __init__(self, pipeline: Pipeline, labels: list[str]) -> None:
        self.pipeline, self.labels = pipeline, labels

    def predict(self, rows: pandas.DataFrame) -> pandas.DataFrame:
        return pandas.DataFrame(self.pipeline.predict(rows), columns=self.labels, index=rows.index)

    def chances(self, rows: pandas.DataFrame) -> numpy.ndarray:
        """(n, labels): how likely each label is."""
        return numpy.column_stack([each[:, 1] for each in self.pipeline.predict_proba(rows)])


def options(parser: argparse.ArgumentParser) -> None:
    classification.options(parser)
    parser.add_argument("--separator", default=";")


def run(given: argparse.Namespace) -> None:
    whole = inputs.table(given.training_data, given, "the training data")
    tables.needs_rows(whole, inputs.LEAST, "the training data", "to train and to judge")
    named = tables.columns(given.target, whole, "the training data")
    labels = named if len(named) > 1 else _labels(tables.column(whole, named[0], "the training data"), given.separator)
    parts = inputs.parts(given, whole)
    truths = [
        _truth(part, named, labels, given.separator, where) for part, where in zip(parts, inputs.NAMES, strict=True)
    ]
    _check(truths[0], labels)
    apart = [*named, *tables.columns(given.ignored_columns, whole, "the training data")]
    columns = features.choose(parts[0], apart, "the training data")
    train, test = (features.rows(part, columns) for part in parts)
    estimator = MultiOutputClassifier(classification.METHODS[given.method](given))
    scaled = given.method == "logistic_regression"
    model = Labelling(features.prepared(columns, estimator, scaled=scaled).fit(train, truths[0]), labels)
    found, chances = model.predict(test).to_numpy(), model.chances(test)
    naive = numpy.tile((truths[0].mean(axis=0) >= 0.5).astype(int), (len(test), 1))
    shares = numpy.tile(truths[0].mean(axis=0), (len(test), 1))
    slices = tables.columns(given.slice_columns, parts[1], "the data")
    evaluations.write(
        given.evaluation, task="multilabel classification", primary="micro_f1",
        metrics=scores(truths[1], found, chances), baseline="most frequent",
        baseline_metrics=scores(truths[1], naive, shares), rows={"train": len(train), "test": len(test)},
        slices=evaluations.sliced(
            parts[1], slices, lambda mask: scores(truths[1][mask], found[mask], chances[mask])
        ),
        more={"labels": labels, "f1_by_label": _by_label(truths[1], found, labels)},
    )  # fmt: skip
    _save(given, model, train)


def scores(truth: Any, found: Any, chances: Any) -> dict[str, float]:
    """``truth``, ``found``: (n, labels) of 0 and 1; ``chances``: (n, labels)."""
    answer = {
        "micro_f1": metrics.f1_score(truth, found, average="micro", zero_division=0.0),
        "macro_f1": metrics.f1_score(truth, found, average="macro", zero_division=0.0),
        "subset_accuracy": metrics.accuracy_score(truth, found),
        "hamming_loss": metrics.hamming_loss(truth, found),
        "ranking_precision": metrics.label_ranking_average_precision_score(truth, chances),
    }
    return {name: float(value) for name, value in answer.items()}


def _by_label(truth: Any, found: Any, labels: list[str]) -> dict[str, float]:
    each = metrics.f1_score(truth, found, average=None, zero_division=0.0)
    return {label: float(value) for label, value in zip(labels, each, strict=True)}


def _labels(values: pandas.Series, separator: str) -> list[str]:
    found = sorted({label for text in values.dropna().astype(str) for label in _split(text, separator)})
    if not found:
        raise BadData(f"column '{values.name}' names no label; write labels with '{separator}' between them")
    return found


def _split(text: str, separator: str) -> list[str]:
    return [label.strip() for label in text.split(separator) if label.strip()]


def _truth(part: pandas.DataFrame, named: list[str], labels: list[str], separator: str, where: str) -> numpy.ndarray:
    if len(named) > 1:
        return numpy.column_stack([_flags(tables.column(part, name, where), where) for name in named])
    rows = [set(_split(text, separator)) for text in part[named[0]].fillna("").astype(str)]
    for number, row in zip(part.index, rows, strict=True):
        if row - set(labels):
            raise BadData(f"{where}, row {number + 1}: label '{min(row - set(labels))}' is not in the training data")
    return numpy.array([[int(label in row) for label in labels] for row in rows])


def _flags(values: pandas.Series, where: str) -> numpy.ndarray:
    found = tables.complete(values, where)
    wrong = ~found.isin([0, 1]).to_numpy()
    if wrong.any():
        shown = found.iloc[int(wrong.argmax())]
        raise BadData(
            f"{where}, row {tables.row(found, wrong)}: '{shown}' in column '{values.name}' is neither 0 nor 1; name "
            "one column of labels, or columns of 0 and 1"
        )
    return found.astype(int).to_numpy()


def _check(truth: numpy.ndarray, labels: list[str]) -> None:
    for label, share in zip(labels, truth.mean(axis=0), strict=True):
        if share in (0.0, 1.0):
            rows = "every row" if share else "no row"
            raise BadData(f"label '{label}' is in {rows} of the training part; leave it out, or give more rows")


def _save(given: argparse.Namespace, model: Labelling, train: pandas.DataFrame) -> None:
    import mlflow.sklearn

    example = train.iloc[:3]
    saving.write(
        given.model,
        lambda path, **told: mlflow.sklearn.save_model(model, path, serialization_format="cloudpickle", **told),
        example=example, answer=model.predict(example), packages=("scikit-learn", "pandas", "numpy", "scipy"),
        families=("classical",), metadata={"task": "multilabel classification", "target": given.target},
    )  # fmt: skip
