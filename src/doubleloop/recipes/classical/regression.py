"""Regression of numbers: linear methods, a quantile, and gradient boosting."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy
from sklearn import linear_model, metrics
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from ..shared import evaluations, tables
from . import classification, features, inputs

# Where alpha is not said, that of these which is best in five-fold cross-validation of the training rows.
ALPHAS = tuple(float(each) for each in numpy.logspace(-4, 3, 15))


def _ridge(given: argparse.Namespace) -> Any:
    return linear_model.RidgeCV(ALPHAS, cv=5) if given.alpha is None else linear_model.Ridge(given.alpha)


def _lasso(given: argparse.Namespace) -> Any:
    if given.alpha is None:
        return linear_model.LassoCV(cv=5, max_iter=20_000, random_state=given.seed)
    return linear_model.Lasso(given.alpha, max_iter=20_000)


METHODS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "linear": lambda given: linear_model.LinearRegression(),
    "polynomial": lambda given: linear_model.LinearRegression() if given.alpha is None else _ridge(given),
    "ridge": _ridge,
    "lasso": _lasso,
    "quantile": lambda given: linear_model.QuantileRegressor(
        quantile=given.quantile, alpha=given.alpha or 0.0, solver="highs"
    ),
    "bayesian": lambda given: linear_model.BayesianRidge(),
    "gradient_boosting": lambda given: HistGradientBoostingRegressor(
        max_iter=given.trees, learning_rate=given.learning_rate, max_leaf_nodes=given.leaves, early_stopping=False,
        random_state=given.seed,
    ),
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    inputs.options(parser)
    parser.add_argument("--method", choices=sorted(METHODS), required=True)
    parser.add_argument("--alpha", type=inputs.not_negative, default=None)
    parser.add_argument("--degree", type=inputs.count, default=2)
    parser.add_argument("--quantile", type=inputs.share, default=0.5)
    parser.add_argument("--trees", type=inputs.count, default=200)
    parser.add_argument("--learning-rate", type=inputs.positive, default=0.1)
    parser.add_argument("--leaves", type=inputs.count, default=31)


def run(given: argparse.Namespace) -> None:
    data = inputs.read(given, lambda values, where: tables.numbers(values, where).to_numpy())
    columns = features.choose(data.train, data.apart, "the training data")
    train, test = features.rows(data.train, columns), features.rows(data.test, columns)
    model = features.prepared(
        columns, METHODS[given.method](given), degree=given.degree if given.method == "polynomial" else 1,
        scaled=given.method != "gradient_boosting",
    ).fit(train, data.train_target)  # fmt: skip
    quantile = given.quantile if given.method == "quantile" else None
    naive = DummyRegressor(strategy="quantile", quantile=quantile) if quantile else DummyRegressor()
    naive.fit(train, data.train_target)
    found, truth = model.predict(test), data.test_target
    measured = scores(truth, found, quantile)
    if given.method == "bayesian":
        measured["interval_95_coverage"] = coverage(model, test, truth)
    evaluations.write(
        given.evaluation, task="regression", primary="pinball_loss" if quantile else "rmse", metrics=measured,
        baseline=f"{quantile} quantile" if quantile else "mean",
        baseline_metrics=scores(truth, naive.predict(test), quantile), rows={"train": len(train), "test": len(test)},
        slices=evaluations.sliced(
            data.test, data.slices, lambda mask: scores(truth[mask], found[mask], quantile)
        ),
        more={"method": given.method},
    )  # fmt: skip
    classification.save(given, model, train, "regression")


def scores(truth: Any, found: Any, quantile: float | None = None) -> dict[str, float]:
    """``truth``, ``found``: (n,) in the unit of the target. R² of fewer than two rows is not defined."""
    answer = {
        "rmse": metrics.root_mean_squared_error(truth, found),
        "mae": metrics.mean_absolute_error(truth, found),
        "median_absolute_error": metrics.median_absolute_error(truth, found),
        "r2": metrics.r2_score(truth, found) if len(truth) > 1 else float("nan"),
    }
    if quantile:
        answer["pinball_loss"] = metrics.mean_pinball_loss(truth, found, alpha=quantile)
        answer["share_below"] = float(numpy.mean(truth <= found))
    return {name: float(value) for name, value in answer.items()}


def coverage(model: Pipeline, test: Any, truth: Any) -> float:
    """Share of the truth that lies within the 95 % intervals of the Bayesian regression (mean ± 1.96 deviations)."""
    mean, deviation = model[-1].predict(model[:-1].transform(test), return_std=True)
    return float(numpy.mean(numpy.abs(truth - mean) <= 1.959964 * deviation))
