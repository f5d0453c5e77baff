"""The model that a forecasting component leaves: asked for times after its past, it answers with intervals."""

from __future__ import annotations

from typing import Any

import numpy
import pandas
from mlflow.pyfunc import PythonModel

from . import series
from .methods import Bands, Method

MOST_STEPS = 10_000  # after the end of the past


class Forecaster(PythonModel):
    """``predict``: rows with the column ``time`` (ISO 8601 text; a row for each period to forecast, in any order) give
    rows with ``forecast``, ``lower`` and ``upper``; for several series ``forecast_NAME`` and so on. Rows stand alone.
    """

    def __init__(
        self, method: Method, names: list[str], time: str, end: pandas.Timestamp, frequency: str, level: float,
        log: bool,
    ) -> None:  # fmt: skip
        self.method, self.names, self.time = method, names, time
        self.end, self.frequency, self.level, self.log = end, frequency, level, log

    def __getstate__(self) -> dict[str, Any]:
        """Without what MLflow keeps on it while it is saved, whose classes a production's scan does not know."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> pandas.DataFrame:
        """Raises ValueError for a time that is no period after the past."""
        if self.time not in model_input.columns:
            raise ValueError(f"there is no column '{self.time}'; give one row for each period to forecast")
        steps = series.steps(model_input[self.time], self.end, self.frequency)
        if steps.max() > MOST_STEPS:
            raise ValueError(f"{steps.max()} periods ahead are too many; {MOST_STEPS} can be asked for")
        bands = forecast(self.method, int(steps.max()), self.level, self.log)
        chosen = {part: band[steps - 1] for part, band in zip(("forecast", "lower", "upper"), bands, strict=True)}
        return pandas.DataFrame(
            {
                part if len(self.names) == 1 else f"{part}_{name}": band[:, number]
                for number, name in enumerate(self.names)
                for part, band in chosen.items()
            },
            index=model_input.index,
        )


def fitted(method: Method, values: numpy.ndarray, log: bool) -> Method:
    """``log``: fit the logarithms of the values, which must be above 0."""
    return method.fit(numpy.log(values) if log else values)


def forecast(method: Method, steps: int, level: float, log: bool) -> Bands:
    """With ``log`` back in the unit of the values: the forecast is then the median."""
    mean, lower, upper = method.forecast(steps, level)
    return (numpy.exp(mean), numpy.exp(lower), numpy.exp(upper)) if log else (mean, lower, upper)
