"""Methods of statsmodels, each with ``fit`` of values and ``forecast`` with intervals.

``fit(values)``: (n, k) without gaps, k is 1 but for VAR. ``forecast(steps, level)``: mean, lower and upper, each
(steps, k); ``level`` is the share of the future that should lie between (0.9). ``told`` is what was fitted.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy
from scipy import stats

from ..shared.problems import BadData

Bands = tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]


class Method(Protocol):
    told: dict[str, float]

    def fit(self, values: numpy.ndarray) -> Method: ...

    def forecast(self, steps: int, level: float) -> Bands: ...


class Fitted:
    """Keeps what is needed to make statsmodels' results again, not the results: those are megabytes, and their pickles
    carry code. ``fitted`` is made once in a process."""

    def _fitted(self) -> Any:
        raise NotImplementedError

    @property
    def fitted(self) -> Any:
        if "_results" not in self.__dict__:
            self.__dict__["_results"] = self._fitted()
        return self.__dict__["_results"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_results"}


class Autoregression(Fitted):
    """AR(p) by conditional least squares, with a constant; without ``lags`` that of the least AIC up to ``most``."""

    def __init__(self, lags: int | None, most: int) -> None:
        self.lags, self.most = lags, most

    def fit(self, values: numpy.ndarray) -> Autoregression:
        from statsmodels.tsa.ar_model import ar_select_order

        self.series = values[:, 0]
        if self.lags is None:
            most = max(min(self.most, len(self.series) // 4), 1)
            self.lags = len(ar_select_order(self.series, most, ic="aic").ar_lags or ())
        self.told = _named(self.fitted, [f"lag_{each}" for each in range(1, self.lags + 1)], first="constant")
        return self

    def _fitted(self) -> Any:
        from statsmodels.tsa.ar_model import AutoReg

        return AutoReg(self.series, self.lags, trend="c").fit()

    def forecast(self, steps: int, level: float) -> Bands:
        length = len(self.series)
        found = self.fitted.get_prediction(length, length + steps - 1)
        return _bands(found.predicted_mean, numpy.asarray(found.conf_int(1 - level)))


class Arima(Fitted):
    """ARIMA(p,d,q), and with a season SARIMA(p,d,q)(P,D,Q,season), by maximum likelihood in state space."""

    def __init__(self, order: tuple[int, ...], seasonal: tuple[int, ...] = (0, 0, 0), season: int = 0) -> None:
        self.order, self.seasonal = order, (*seasonal, season) if any(seasonal) else (0, 0, 0, 0)

    def fit(self, values: numpy.ndarray) -> Arima:
        least = self.order[1] + self.seasonal[1] * self.seasonal[3] + sum(self.order) + sum(self.seasonal[:3]) + 5
        if len(values) < least:
            raise BadData(
                f"{len(values)} periods are too few for ARIMA{self.order}{self.seasonal}; give {least} or more"
            )
        self.series = values[:, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on starting values that are not stationary, and slow convergence
            found = self._model().fit()
        self.parameters = numpy.asarray(found.params)
        self.__dict__["_results"] = found
        self.told = _named(found, found.param_names)
        return self

    def _model(self) -> Any:
        from statsmodels.tsa.arima.model import ARIMA

        return ARIMA(self.series, order=self.order, seasonal_order=self.seasonal)

    def _fitted(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._model().filter(self.parameters)

    def forecast(self, steps: int, level: float) -> Bands:
        found = self.fitted.get_forecast(steps)
        return _bands(found.predicted_mean, numpy.asarray(found.conf_int(1 - level)))


class Smoothing:
    """Simple exponential smoothing; intervals by the variance σ²(1 + (h-1)α²) of its state space form.

    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 8.7 (ETS(A,N,N)).
    """

    def fit(self, values: numpy.ndarray) -> Smoothing:
        from statsmodels.tsa.holtwinters import SimpleExpSmoothing

        fitted = SimpleExpSmoothing(values[:, 0], initialization_method="estimated").fit()
        self.alpha = float(fitted.params["smoothing_level"])
        self.level = float(fitted.forecast(1)[0])
        self.deviation = float(numpy.sqrt(fitted.sse / max(len(values) - 2, 1)))
        self.told = {"alpha": self.alpha, "level": self.level, "deviation": self.deviation}
        return self

    def forecast(self, steps: int, level: float) -> Bands:
        mean = numpy.full((steps, 1), self.level)
        spread = self.deviation * numpy.sqrt(1 + numpy.arange(steps) * self.alpha**2)[:, None]
        wide = stats.norm.ppf((1 + level) / 2) * spread
        return mean, mean - wide, mean + wide


class Vector(Fitted):
    """VAR(p) of several series, with constants; without ``lags`` the p of the least AIC, at most ``most``."""

    def __init__(self, lags: int | None, most: int) -> None:
        self.lags, self.most = lags, most

    def fit(self, values: numpy.ndarray) -> Vector:
        from statsmodels.tsa.api import VAR

        self.values = values
        least = max(20, 4 * values.shape[1])
        if len(values) < least:
            raise BadData(f"{len(values)} periods are too few for {values.shape[1]} series; give {least} or more")
        if self.lags is None:
            most = max(1, min(self.most, len(values) // (4 * values.shape[1])))
            self.lags = max(1, int(VAR(values).select_order(most).selected_orders["aic"]))
        self.told = {"lags": float(self.lags)}
        return self

    def _fitted(self) -> Any:
        from statsmodels.tsa.api import VAR

        return VAR(self.values).fit(self.lags)

    def forecast(self, steps: int, level: float) -> Bands:
        found = self.fitted.forecast_interval(self.values[-(self.lags or 1) :], steps, alpha=1 - level)
        return found[0], found[1], found[2]


def _bands(mean: Any, between: numpy.ndarray) -> Bands:
    return numpy.asarray(mean)[:, None], between[:, :1], between[:, 1:]


def _named(fitted: Any, names: list[str], first: str = "") -> dict[str, float]:
    known = [first, *names] if first else names
    return {name: float(value) for name, value in zip(known, numpy.asarray(fitted.params), strict=False)}
