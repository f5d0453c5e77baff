"""One trial of forecasting: judged from origins that roll through the past, then fitted to all of it.

From each origin the model is fitted to what lies before it and forecasts the horizon, step by step from its own
forecasts, so nothing of the future is seen (rolling-origin evaluation: Tashman 2000, Int. J. Forecasting 16).
"""

from __future__ import annotations

import argparse
import copy
import logging
from typing import Any

import numpy
import pandas
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from . import algorithms, calendars, classical, features, metrics, saving, tables
from .calendars import KEY
from .forecaster import Forecaster
from .orders import BadData, Orders

LOG = logging.getLogger("doubleloop")
FOLDS = 3  # of n_cross_validations: auto, where the series are long enough


def trial(asked: Orders, given: argparse.Namespace) -> None:
    try:
        _trial(asked, given)
    except calendars.BadTimes as error:
        raise BadData(str(error)) from error


def _trial(asked: Orders, given: argparse.Namespace) -> None:
    frame = read(asked, given.training)
    settings = calendars.resolved(frame, asked.forecasting, asked.target, asked.featurization)
    LOG.info(
        "frequency %(frequency)s, season %(season)d, horizon %(horizon)d, lags %(lags)s, window %(window)d", settings
    )
    grid = _long_enough(calendars.regular(calendars.keyed(frame, settings), settings), settings)
    model = _model(asked, settings, grid)
    result = Judged(asked, grid, settings)
    if given.validation:
        later = read(asked, given.validation)
        judge(_fitted(settings, model, grid), later, result)
        frame = pandas.concat([frame, later], ignore_index=True)
        seen = calendars.keyed(frame, settings)
        if settings["aggregate"] == "none":
            seen = seen.drop_duplicates([KEY, settings["time"]], keep="first")
        grid = calendars.regular(seen, settings)
    else:
        for number, cut in enumerate(origins(asked, grid, settings)):
            _judge_from(cut, number, _fresh(model), grid, settings, result)
    result.tell(asked, given.state)
    rows = frame.drop(columns=[asked.target])
    saving.forecaster(asked, _fitted(settings, model, grid), rows, settings, given.model)


def read(asked: Orders, path: str) -> pandas.DataFrame:
    frame = tables.load(path)
    values = pandas.to_numeric(tables.column(frame, asked.target, "target_column_name"), errors="coerce")
    apart = [asked.weights] if asked.weights in frame.columns else []
    return frame.assign(**{asked.target: values.astype(float)}).drop(columns=apart)


def _model(asked: Orders, settings: dict[str, Any], grid: pandas.DataFrame) -> Any:
    if asked.algorithm in classical.NAMES:
        return asked.algorithm
    table = Forecaster(settings, None).design(grid)
    featurization = dict(asked.featurization)
    said = {name: kind for name, kind in (featurization.get("column_name_and_types") or {}).items() if name in table}
    said.update({name: "Categorical" for name in table if name.startswith("series.")})
    said.update({name: "Numeric" for name in table if name.startswith(("target.", "time."))})
    featurization["column_name_and_types"] = said
    return Pipeline([*features.build(table, featurization), *algorithms.steps(asked)])


def _fresh(model: Any) -> Any:
    return model if isinstance(model, str) else clone(model)


def _fitted(settings: dict[str, Any], model: Any, grid: pandas.DataFrame) -> Forecaster:
    return Forecaster(copy.deepcopy(settings), _fresh(model)).fit_grid(grid)


def _long_enough(grid: pandas.DataFrame, settings: dict[str, Any]) -> pandas.DataFrame:
    """What becomes of series that are too short to be judged. Raises BadData."""
    least = settings["horizon"] + max([1, *settings["lags"]]) + 1
    counts = grid.groupby(KEY).size()
    short = counts[counts < least]
    if not len(short):
        return grid
    told = "%d series have fewer than %d periods, '%s' among them" % (len(short), least, short.index[0])
    if settings["short"] == "none" or len(short) == len(counts):
        raise BadData(told + ": forecast fewer periods, or give more history")
    if settings["short"] == "drop":
        LOG.info("%s: they are left out", told)
        return grid[~grid[KEY].isin(short.index)].reset_index(drop=True)
    LOG.info("%s: they are trained on, and judged where they can be", told)
    return grid


def origins(asked: Orders, grid: pandas.DataFrame, settings: dict[str, Any]) -> list[Any]:
    """The last time before each fold's horizon, newest first. Raises BadData when the series are too short."""
    times = numpy.sort(grid[settings["time"]].unique())
    horizon, step = settings["horizon"], settings["step"]
    least = max([2, horizon // 2, *(lag + 2 for lag in settings["lags"]), settings["window"] + 1])
    room = (len(times) - horizon - least) // step + 1
    wanted = asked.folds if isinstance(asked.folds, int) else min(FOLDS, max(room, 1))
    if room < wanted:
        raise BadData(
            "%d folds of %d periods, %d apart, need %d periods of history, and the data has %d: lower forecast_horizon "
            "or n_cross_validations" % (wanted, horizon, step, least + horizon + (wanted - 1) * step, len(times))
        )
    return [times[len(times) - 1 - horizon - fold * step] for fold in range(wanted)]


def _judge_from(
    cut: Any, fold: int, model: Any, grid: pandas.DataFrame, settings: dict[str, Any], result: Judged
) -> None:
    time, target = settings["time"], settings["target"]
    before = grid[grid[time] <= cut].reset_index(drop=True)
    after = grid[(grid[time] > cut) & grid[KEY].isin(before[KEY].unique())]
    ends = before.groupby(KEY)[time].max()
    each = calendars.offset(settings["frequency"])
    lasts = {key: pandas.date_range(end, periods=settings["horizon"] + 1, freq=each)[-1] for key, end in ends.items()}
    after = after[after[time] <= after[KEY].map(lasts)]
    if not len(after):
        raise BadData("no series has a row in the %d periods after %s" % (settings["horizon"], cut))
    fitted = Forecaster(copy.deepcopy(settings), model).fit_grid(before)
    found = fitted.predict(after.drop(columns=[target, KEY]))
    result.add(found, after[target].to_numpy(), after[KEY].to_numpy(), fold)


def judge(fitted: Forecaster, later: pandas.DataFrame, result: Judged, keep: list[Any] | None = None) -> None:
    """Forecast rows that come after the training data, a horizon at a time, each with what is known before it."""
    settings = fitted.settings
    time, target = settings["time"], settings["target"]
    rows = calendars.keyed(later, settings)
    ends = rows[KEY].map(fitted.ends_)
    rows = rows[ends.isna() | (rows[time] > ends)]
    if settings["aggregate"] != "none" and len(rows):
        rows = calendars.regular(rows, settings)
    rows = rows[rows[target].notna()].sort_values([KEY, time]).reset_index(drop=True)
    if not len(rows):
        raise BadData("no row to judge by lies after the training data")
    block = rows.groupby(KEY).cumcount().to_numpy() // settings["horizon"]
    for number in range(int(block.max()) + 1):
        chosen = block <= number
        asked = rows[chosen].copy()
        now = block[chosen] == number
        truth = asked[target].to_numpy(copy=True)[now]
        asked.loc[now, target] = numpy.nan
        found = fitted.predict(asked.drop(columns=[KEY]))[now]
        result.add(found, truth, asked[KEY].to_numpy()[now], number)
        if keep is not None:
            keep.append(asked[now].drop(columns=[KEY]).assign(**{target: truth, "predicted": found}))


class Judged:
    """Forecasts of what was not seen, fold by fold, and what they are worth."""

    def __init__(self, asked: Orders, grid: pandas.DataFrame, settings: dict[str, Any]) -> None:
        spans = grid.groupby(KEY)[settings["target"]].agg(["min", "max"])
        self.ranges: dict[Any, tuple[float, float]] = {
            key: (float(low), float(high)) for key, low, high in spans.itertuples()
        }
        self._asked = asked
        self._parts: list[tuple[Any, Any, Any, int]] = []

    def add(self, found: Any, truth: Any, series: Any, fold: int) -> None:
        self._parts.append((found, truth, series, fold))

    def metrics(self) -> dict[str, float]:
        return metrics.averaged(
            [metrics.forecasting(truth, found, series, self.ranges) for found, truth, series, _ in self._parts]
        )

    def tell(self, asked: Orders, folder: str) -> None:
        saving.log(self.metrics(), asked.metric, {"algorithm": asked.algorithm, "folds": len(self._parts)})
        names = sorted(self.ranges)
        saving.keep(
            folder, numpy.concatenate([truth for _, truth, _, _ in self._parts]),
            numpy.concatenate([found for found, _, _, _ in self._parts]),
            numpy.concatenate([[fold] * len(truth) for _, truth, _, fold in self._parts]),
            series=numpy.concatenate([series.astype(str) for _, _, series, _ in self._parts]),
            names=numpy.array([str(name) for name in names]), ranges=numpy.array([self.ranges[name] for name in names]),
        )  # fmt: skip
