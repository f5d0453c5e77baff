"""How good a method would have been: fitted again at several origins, judged on the periods after each.

Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.8 (metrics) and 5.10 (rolling origin).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy
import pandas

from . import models
from .methods import Method
from .series import Series


def rolling(
    data: Series, make: Callable[[], Method], *, horizon: int, folds: int, season: int, level: float, log: bool
) -> pandas.DataFrame:  # fmt: skip
    """A row for each origin, step and series: ``fold``, ``origin`` (last time that was known), ``step`` (from 1),
    ``time``, ``series``, ``truth``, ``forecast``, ``lower``, ``upper``, ``naive`` (the value a season before, or the
    last of that phase) and ``scale`` (mean seasonal difference of what was known, for MASE)."""
    parts = []
    for fold in range(folds):
        cut = len(data.values) - (folds - fold) * horizon
        known, truth = data.values[:cut], data.values[cut : cut + horizon]
        method = models.fitted(make(), known, log)
        mean, lower, upper = models.forecast(method, horizon, level, log)
        naive = known[cut - season + numpy.arange(horizon) % season]
        scale = numpy.abs(known[season:] - known[:-season]).mean(axis=0)
        for number, name in enumerate(data.names):
            parts.append(
                pandas.DataFrame({
                    "fold": fold, "origin": data.times[cut - 1], "step": numpy.arange(1, horizon + 1),
                    "time": data.times[cut : cut + horizon], "series": name, "truth": truth[:, number],
                    "forecast": mean[:, number], "lower": lower[:, number], "upper": upper[:, number],
                    "naive": naive[:, number], "scale": scale[number],
                })
            )  # fmt: skip
    return pandas.concat(parts, ignore_index=True)


def scores(rows: pandas.DataFrame, column: str = "forecast") -> dict[str, float]:
    """MASE, MAE, RMSE, sMAPE and, where no truth is 0, MAPE (both in percent); with intervals their coverage (share of
    the truth inside) and mean width."""
    truth, found = rows["truth"].to_numpy(), rows[column].to_numpy()
    wrong = numpy.abs(truth - found)
    both = numpy.abs(truth) + numpy.abs(found)
    answer = {
        "mase": float(_ratio(wrong, rows["scale"].to_numpy())),
        "mae": float(wrong.mean()),
        "rmse": float(numpy.sqrt((wrong**2).mean())),
        "smape": float(100 * numpy.divide(2 * wrong, both, out=numpy.zeros_like(both), where=both > 0).mean()),
    }
    if (truth != 0).all():
        answer["mape"] = float(100 * (wrong / numpy.abs(truth)).mean())
    if column == "forecast":
        answer["coverage"] = float(((rows["lower"] <= truth) & (truth <= rows["upper"])).mean())
        answer["mean_width"] = float((rows["upper"] - rows["lower"]).mean())
    return answer


def _ratio(wrong: numpy.ndarray, scale: numpy.ndarray) -> float:
    return float((wrong / scale).mean()) if (scale > 0).all() else float("nan")
