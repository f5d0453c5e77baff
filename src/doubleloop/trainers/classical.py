"""Forecasts of one series from its own past (and, for Arimax, known features): naive, averages, smoothing, ARIMA."""

from __future__ import annotations

import warnings
from typing import Any

import numpy

NAMES = ("Naive", "SeasonalNaive", "Average", "SeasonalAverage", "ExponentialSmoothing", "AutoArima", "Arimax")
_ORDERS = [(p, d, q) for d in (0, 1) for p in (0, 1, 2) for q in (0, 1, 2)]
# The largest season that an ARIMA is given; a longer one takes minutes a series.
_ARIMA_SEASON = 24


def fit(name: str, values: Any, season: int, features: Any | None = None) -> dict[str, Any]:
    """What ``forecast`` needs to know. ``values``: (n,) without gaps; ``features``: (n, k), of Arimax alone.

    A series too short for its method is forecast by its last value.
    """
    values = numpy.asarray(values, dtype=float)
    if name == "ExponentialSmoothing":
        return _smoothing(values, season)
    if name in ("AutoArima", "Arimax"):
        return _arima(values, season, features if name == "Arimax" else None)
    if name == "Naive" or (name == "SeasonalNaive" and len(values) < season):
        return {"cycle": values[-1:]}
    if name == "SeasonalNaive":
        return {"cycle": values[-season:]}
    if name == "Average" or len(values) < season:
        return {"cycle": numpy.array([values.mean()])}
    phases = numpy.arange(len(values)) % season
    after = (len(values) + numpy.arange(season)) % season
    return {"cycle": numpy.array([values[phases == phase].mean() for phase in after])}


def forecast(state: dict[str, Any], periods: int, features: Any | None = None) -> Any:
    """(periods,) values after the end of the series."""
    if "cycle" in state:
        return numpy.resize(state["cycle"], periods)
    steps = numpy.arange(1, periods + 1)
    if "level" in state:
        ahead = numpy.cumsum(state["damping"] ** steps) * state["trend"]
        cycle = numpy.resize(state["seasonal"], periods) if len(state["seasonal"]) else 0.0
        return state["level"] + ahead + cycle
    given = {} if features is None or not state["exogenous"] else {"exog": features}
    return numpy.asarray(state["fitted"].forecast(periods, **given))


def _smoothing(values: Any, season: int) -> dict[str, Any]:
    """Holt-Winters, additive; with or without trend, damping and season, by the corrected AIC."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    if len(values) < 10 or numpy.ptp(values) == 0:
        return {"cycle": values[-1:]}
    seasonal = ["add", None] if 1 < season <= len(values) // 2 - 2 else [None]
    best: Any = None
    for each in seasonal:
        for trend, damped in ((None, False), ("add", False), ("add", True)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = ExponentialSmoothing(
                    values, trend=trend, damped_trend=damped, seasonal=each, seasonal_periods=season if each else None,
                    initialization_method="estimated",
                )  # fmt: skip
                fitted = model.fit()
            if best is None or fitted.aicc < best.aicc:
                best = fitted
    has_trend, has_season = best.model.trend is not None, best.model.seasonal is not None
    damping = float(best.params.get("damping_trend") or 1.0)
    return {
        "level": float(best.level[-1]),
        "trend": float(best.trend[-1]) if has_trend else 0.0,
        "damping": damping if numpy.isfinite(damping) else 1.0,
        "seasonal": numpy.asarray(best.season[-season:]) if has_season else numpy.array([]),
    }


def _arima(values: Any, season: int, features: Any | None) -> dict[str, Any]:
    """The order of least AIC among p, q up to 2 and d up to 1, and then with or without a seasonal part."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    if len(values) < 10 or numpy.ptp(values) == 0:
        return {"cycle": values[-1:]}

    def fitted(order: Any, seasonal: Any = (0, 0, 0, 0)) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SARIMAX(
                values, exog=features, order=order, seasonal_order=seasonal, trend="c" if order[1] == 0 else None,
                enforce_stationarity=False, enforce_invertibility=False,
            )  # fmt: skip
            return model.fit(disp=False, maxiter=50)

    best: Any = None
    for order in _ORDERS:
        try:
            found = fitted(order)
        except (ValueError, numpy.linalg.LinAlgError):
            continue
        if numpy.isfinite(found.aic) and (best is None or found.aic < best.aic):
            best = found
    if best is None:
        return {"cycle": values[-1:]}
    if 1 < season <= min(_ARIMA_SEASON, len(values) // 3):
        for seasonal in ((1, 0, 0, season), (0, 1, 1, season)):
            try:
                found = fitted(best.model.order, seasonal)
            except (ValueError, numpy.linalg.LinAlgError):
                continue
            if numpy.isfinite(found.aic) and found.aic < best.aic:
                best = found
    return {"fitted": best, "exogenous": features is not None}
