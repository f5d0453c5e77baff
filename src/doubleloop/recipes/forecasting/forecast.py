"""Forecasting: a backtest on a rolling origin, then the model on all that is known."""

from __future__ import annotations

import argparse
import math
import os
from typing import Any

import numpy
import pandas

from ..shared import contracts, evaluations, saving, tables
from ..shared.problems import BadData
from . import backtests, methods, models, series

METHODS = ("ar", "arima", "sarima", "var", "ses", "lstm")
_EXAMPLE = 3  # periods


def options(parser: argparse.ArgumentParser) -> None:
    for name in ("--training-data", "--target", "--time", "--model", "--evaluation"):
        parser.add_argument(name, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--contract", default="")
    parser.add_argument("--frequency", default="")
    parser.add_argument("--season", type=_count, default=None)
    parser.add_argument("--horizon", type=_count, default=12)
    parser.add_argument("--folds", type=_count, default=3)
    parser.add_argument("--interval", type=_share, default=0.9)
    parser.add_argument("--log", choices=["true", "false"], default="false")
    parser.add_argument("--lags", type=_count, default=None)
    parser.add_argument("--order", type=_order, default=(1, 1, 1))
    parser.add_argument("--seasonal-order", type=_order, default=(0, 1, 1))
    parser.add_argument("--history", type=_count, default=None)
    parser.add_argument("--units", type=_count, default=32)
    parser.add_argument("--epochs", type=_count, default=30)
    parser.add_argument("--seed", type=int, default=0)


def run(given: argparse.Namespace) -> None:
    frame = tables.read(given.training_data)
    contracts.keep(frame, given.contract, "the training data")
    names = tables.columns(given.target, frame, "the training data")
    data = series.read(frame, given.time, names, given.frequency)
    season = given.season or data.season
    _check(given, data, season)
    log = given.log == "true"
    rows = backtests.rolling(
        data, lambda: _method(given, season), horizon=given.horizon, folds=given.folds, season=season,
        level=given.interval, log=log,
    )  # fmt: skip
    method = models.fitted(_method(given, season), data.values, log)
    _tell(given, data, season, rows, method.told)
    end = data.times[-1]
    _save(given, models.Forecaster(method, data.names, given.time, end, data.frequency, given.interval, log))


def _method(given: argparse.Namespace, season: int) -> methods.Method:
    if given.method == "lstm":
        from . import lstm

        return lstm.Network(
            given.history or max(2 * season, 8), given.horizon, season, given.units, given.epochs, given.seed
        )
    made: dict[str, Any] = {
        "ar": lambda: methods.Autoregression(given.lags, max(2 * season, 10)),
        "arima": lambda: methods.Arima(given.order),
        "sarima": lambda: methods.Arima(given.order, given.seasonal_order, season),
        "var": lambda: methods.Vector(given.lags, 8),
        "ses": methods.Smoothing,
    }
    found: methods.Method = made[given.method]()
    return found


def _check(given: argparse.Namespace, data: series.Series, season: int) -> None:
    one = given.method != "var"
    if one and len(data.names) > 1:
        raise BadData(f"{given.method} forecasts one series, and target names {len(data.names)}; use var_forecasting")
    if not one and len(data.names) < 2:
        raise BadData("var forecasts series that move together, and target names one; name several: a, b")
    if given.method == "sarima" and season < 2:
        raise BadData(f"a period of {data.frequency} suggests no season; say how many periods one has with 'season'")
    known, least = max(len(data.times) - given.horizon * given.folds, 0), max(2 * season, 20)
    if known < least:
        raise BadData(
            f"the training data has {len(data.times)} periods; a backtest of {given.folds} times {given.horizon} "
            f"leaves {known} to learn from, and {least} are needed; give more, or a smaller horizon or folds"
        )
    flat = numpy.ptp(data.values, axis=0) == 0
    if flat.any():
        raise BadData(
            f"column '{data.names[int(flat.argmax())]}' has one value all the time; there is nothing to forecast"
        )
    if given.log == "true" and (data.values <= 0).any():
        time = data.times[int((data.values <= 0).any(axis=1).argmax())]
        raise BadData(f"the value at {time} is not above 0, so it has no logarithm; leave 'log' out")


def _tell(
    given: argparse.Namespace, data: series.Series, season: int, rows: pandas.DataFrame, told: dict[str, float]
) -> None:  # fmt: skip
    by_step = [
        {"column": "step", "value": step, "rows": len(part), **backtests.scores(part)}
        for step, part in rows.groupby("step")
    ]
    if len(data.names) > 1:
        by_step += [
            {"column": "series", "value": name, "rows": len(part), **backtests.scores(part)}
            for name, part in rows.groupby("series", sort=False)
        ]
    os.makedirs(given.evaluation, exist_ok=True)
    rows.drop(columns="scale").to_csv(os.path.join(given.evaluation, "backtest.csv"), index=False)
    evaluations.write(
        given.evaluation, task="forecasting", primary="mase", metrics=backtests.scores(rows),
        baseline="seasonal naive" if season > 1 else "naive", baseline_metrics=backtests.scores(rows, "naive"),
        rows={"train": len(data.times), "test": given.folds * given.horizon}, slices=pandas.DataFrame(by_step),
        more={
            "method": given.method, "horizon": given.horizon, "folds": given.folds, "season": season,
            "frequency": data.frequency, "interval": given.interval,
            "parameters": {name: value for name, value in told.items() if math.isfinite(value)},
        },
    )  # fmt: skip


def _save(given: argparse.Namespace, model: models.Forecaster) -> None:
    import mlflow.pyfunc

    times = pandas.date_range(model.end, periods=_EXAMPLE + 1, freq=model.frequency)[1:]
    example = pandas.DataFrame({given.time: [each.isoformat() for each in times]})
    packages = ["pandas", "numpy", "scipy", *(["torch"] if given.method == "lstm" else ["statsmodels"])]
    saving.write(
        given.model, lambda path, **told: mlflow.pyfunc.save_model(path, python_model=model, **told),
        example=example, answer=model.predict(None, example), packages=packages, families=("forecasting",),
        metadata={
            "task": "forecasting", "method": given.method, "frequency": model.frequency, "end": model.end.isoformat(),
        },
    )  # fmt: skip


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 1")
    return value


def _order(text: str) -> tuple[int, ...]:
    parts = [each.strip() for each in text.strip("() ").split(",")]
    if len(parts) != 3 or not all(each.isdigit() for each in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not an order; write three whole numbers, such as 1,1,1")
    return tuple(int(each) for each in parts)
