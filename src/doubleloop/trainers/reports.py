"""What is said about the best model: its metrics on test data that no trial has seen, and which columns it goes by."""

from __future__ import annotations

import argparse
import json
import logging
import os
from typing import Any

import numpy
import pandas

from . import calendars, forecasts, saving, splitting, tables, tabular
from .orders import BadData, Orders

LOG = logging.getLogger("doubleloop")
_ROWS, _REPEATS = 500, 3


def report(asked: Orders, given: argparse.Namespace) -> None:
    fitted = saving.load(given.model)
    told: dict[str, float] = {}
    try:
        if asked.task == "forecasting":
            told = _forecasts(asked, given, fitted)
        else:
            told = _tabular(asked, given, fitted)
    except calendars.BadTimes as error:
        raise BadData(str(error)) from error
    saving.log(told, asked.metric)


def _tabular(asked: Orders, given: argparse.Namespace, fitted: Any) -> dict[str, float]:
    frame, test = splitting.without_test(asked, tables.load(given.training))
    if given.test:
        test = tables.load(given.test)
    rows = tabular.Rows(asked, frame)
    classes = fitted.classes_ if asked.task == "classification" else None
    span = (0.0, 1.0) if classes is not None else (float(rows.target.min()), float(rows.target.max()))
    told: dict[str, float] = {}
    if test is not None:
        unseen = tabular.Rows(asked, test)
        told = _measured(asked, fitted, unseen.features, unseen.target, classes, span, unseen.weights)
        _predictions(unseen.frame.assign(predicted=fitted.predict(unseen.features)))
    if asked.explain:
        judged = tabular.Rows(asked, tables.load(given.validation)) if given.validation else rows
        some = numpy.random.default_rng(asked.seed).permutation(len(judged.target))[:_ROWS]
        table, truth = judged.features.iloc[some], judged.target[some]
        _importance(
            asked, table, lambda each: _measured(asked, fitted, each, truth, classes, span, None)[asked.metric],
        )  # fmt: skip
    return told


def _measured(
    asked: Orders,
    fitted: Any,
    table: pandas.DataFrame,
    truth: Any,
    classes: Any,
    span: tuple[float, float],
    weights: Any,
) -> dict[str, float]:
    found = tabular.aligned(fitted, table, classes) if classes is not None else fitted.predict(table)
    return tabular.measured(asked, truth, found, classes, span, weights)


def _forecasts(asked: Orders, given: argparse.Namespace, fitted: Any) -> dict[str, float]:
    settings = fitted.settings
    frame = forecasts.read(asked, given.training)
    grid = calendars.regular(calendars.keyed(frame, settings), settings)
    told: dict[str, float] = {}
    if given.test:
        result, kept = forecasts.Judged(asked, grid, settings), []  # type: Any, list[Any]
        forecasts.judge(fitted, forecasts.read(asked, given.test), result, kept)
        told = result.metrics()
        _predictions(pandas.concat(kept))
    inner = next((each for each in [fitted, *getattr(fitted, "members", [])] if _explains(each)), None)
    if asked.explain and inner is not None:
        recent = grid.groupby(calendars.KEY).tail(max(_ROWS // grid[calendars.KEY].nunique(), 1)).index
        table, truth = inner.design(grid).loc[recent], grid[settings["target"]][recent].to_numpy()
        low, high = float(grid[settings["target"]].min()), float(grid[settings["target"]].max())

        def score(rows: pandas.DataFrame) -> float:
            found = inner.model.predict(rows)
            return tabular.measured(asked, truth, found, None, (low, high), None)[asked.metric]

        _importance(asked, table, score)
    return told


def _explains(each: Any) -> bool:
    return hasattr(each, "design") and not isinstance(each.model, str)


def _importance(asked: Orders, table: pandas.DataFrame, score: Any) -> None:
    """How much worse the primary metric gets when a column's values change places, greatest first.

    Permutation importance (Breiman 2001, "Random Forests"), written to ``outputs/feature_importance.json``.
    """
    chance = numpy.random.default_rng(asked.seed)
    whole = asked.sign * score(table)
    found = {}
    for name in table.columns:
        losses = []
        for _ in range(_REPEATS):
            mixed = table[name].to_numpy()[chance.permutation(len(table))]
            losses.append(whole - asked.sign * score(table.assign(**{name: mixed})))
        found[str(name)] = float(numpy.mean(losses))
    ordered = dict(sorted(found.items(), key=lambda pair: -pair[1]))
    with open(os.path.join("outputs", "feature_importance.json"), "w", encoding="utf-8") as file:
        json.dump({"metric": asked.metric, "loss_without": ordered}, file, indent=1)
    LOG.info("columns that matter most: %s", ", ".join("%s (%.3g)" % pair for pair in list(ordered.items())[:5]))


def _predictions(frame: pandas.DataFrame) -> None:
    frame.to_csv(os.path.join("outputs", "predictions.csv"), index=False)
