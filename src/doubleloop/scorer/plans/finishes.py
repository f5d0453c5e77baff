"""From sums (rows x columns) to answers: what an estimator does with the numbers that its arithmetic gives."""

from __future__ import annotations

from typing import Any, Optional

import numpy

from .steps import NotPlanned, Step

# What the answer may be passed through: functions that are the same in every numpy.
FUNCTIONS = ("exp", "expm1", "log", "log1p", "log2", "exp2", "log10", "sqrt", "square", "cbrt", "arcsinh", "sinh")


class Linear(Step):
    """matrix @ coefficients + intercept."""

    def __init__(self, coefficients: Any, intercept: Any) -> None:
        self._coefficients, self._intercept = coefficients, intercept

    def run(self, data: Any) -> Any:
        return data @ self._coefficients + self._intercept


class Flat(Step):
    """The one column."""

    def run(self, data: Any) -> Any:
        return data.ravel()


class Above(Step):
    """The second of two classes for a number above the bound (``at``: or at it)."""

    def __init__(self, classes: Any, bound: float, at: bool = False) -> None:
        self._classes, self._bound, self._at = classes, bound, at

    def run(self, data: Any) -> Any:
        found = data.ravel()
        over = found >= self._bound if self._at else found > self._bound
        return self._classes.take(over.astype(numpy.intp))


class Largest(Step):
    """The class of the column with the largest number."""

    def __init__(self, classes: Any) -> None:
        self._classes = classes

    def run(self, data: Any) -> Any:
        return self._classes.take(data.argmax(axis=1))


class Mean(Step):
    """The sums by the number of their parts."""

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def run(self, data: Any) -> Any:
        return data / self._parts


class Sigmoid(Step):
    """1 / (1 + exp(-steep x)) of the first column."""

    def __init__(self, steep: float) -> None:
        self._steep = steep

    def run(self, data: Any) -> Any:
        with numpy.errstate(over="ignore"):  # far below zero it is 1 / infinity
            return 1.0 / (1.0 + numpy.exp(-self._steep * data[:, 0]))


class Softmax(Step):
    """Shares of the columns."""

    def run(self, data: Any) -> Any:
        found = numpy.exp(data - data.max(axis=1, keepdims=True))
        return found / found.sum(axis=1, keepdims=True)


class Both(Step):
    """The shares of two classes, of the second one's."""

    def run(self, data: Any) -> Any:
        return numpy.vstack((1.0 - data, data)).transpose()


class Named(Step):
    """A function of numpy's, by its name. Raises NotPlanned for one that is not known."""

    def __init__(self, name: str) -> None:
        if name not in FUNCTIONS:
            raise NotPlanned("numpy.%s" % name)
        self._name = name

    def run(self, data: Any) -> Any:
        return getattr(numpy, self._name)(data)


def decided(classes: Any, bound: float, at: bool) -> Step:
    """Sums as they are, or the class that they speak for: of two the second above the bound (``at``: or at it)."""
    if classes is None:
        return Flat()
    return Largest(classes) if len(classes) > 2 else Above(classes, bound, at)


def named(function: Any) -> Optional[Step]:
    """None for a function that is not one of ``FUNCTIONS``."""
    name = getattr(function, "__name__", "")
    return Named(name) if name in FUNCTIONS and getattr(numpy, name) is function else None
