"""Arithmetic on matrices, in the order in which scikit-learn does it: another order rounds otherwise."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict

import numpy

from . import finishes
from .steps import NotPlanned, Step


class Imputed(Step):
    """``SimpleImputer`` of NaN on numbers, with its indicators of what was missing."""

    def __init__(self, imputer: Any) -> None:
        if not _is_nan(imputer.missing_values):
            raise NotPlanned("SimpleImputer of another missing value than NaN")
        self.filled = numpy.asarray(imputer.statistics_, dtype=numpy.float64)
        if numpy.isnan(self.filled).any():
            raise NotPlanned("SimpleImputer that drops a column")
        indicator = getattr(imputer, "indicator_", None)
        self.indicated = None if indicator is None else indicator.features_

    def run(self, data: Any) -> Any:
        missing = numpy.isnan(data)
        found = numpy.where(missing, self.filled, data) if missing.any() else data
        if self.indicated is None:
            return found
        return numpy.concatenate([found, missing[:, self.indicated].astype(numpy.float64)], axis=1)


class Scaled(Step):
    """(x - less) / over, or x * times + more: whichever the scaler does."""

    def __init__(
        self, less: Any = None, over: Any = None, times: Any = None, more: Any = None, clip: Any = None
    ) -> None:
        self.less, self.over, self._times, self._more, self._clip = less, over, times, more, clip

    @property
    def shifts(self) -> bool:
        """Whether it is (x - less) / over and nothing else."""
        return self._times is None and self._more is None and self._clip is None

    def run(self, data: Any) -> Any:
        found = data
        if self.less is not None:
            found = found - self.less
        if self.over is not None:
            found = found / self.over
        if self._times is not None:
            found = found * self._times
        if self._more is not None:
            found = found + self._more
        return found if self._clip is None else numpy.clip(found, *self._clip)


class Called(Step):
    """Another transformer of scikit-learn's on numbers, called as it is: what is saved is the frame alone."""

    def __init__(self, transformer: Any) -> None:
        self._transform = nameless(transformer).transform
        self.what = type(transformer).__name__

    def run(self, data: Any) -> Any:
        found = self._transform(data)
        return numpy.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=numpy.float64)


class Function(Step):
    """Whatever a library does. ``what``: how it is called."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.what = getattr(function, "__qualname__", type(function).__name__)

    def run(self, data: Any) -> Any:
        return self._function(data)


class Same(Step):
    def run(self, data: Any) -> Any:
        return data


def nameless(estimator: Any) -> Any:
    """A copy that does not miss the names of columns, which scikit-learn would warn of at each call."""
    found = copy.copy(estimator)
    vars(found).pop("feature_names_in_", None)
    return found


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _standard(scaler: Any) -> Step:
    return Scaled(less=scaler.mean_ if scaler.with_mean else None, over=scaler.scale_ if scaler.with_std else None)


def _minmax(scaler: Any) -> Step:
    return Scaled(times=scaler.scale_, more=scaler.min_, clip=scaler.feature_range if scaler.clip else None)


def _robust(scaler: Any) -> Step:
    return Scaled(
        less=scaler.center_ if scaler.with_centering else None, over=scaler.scale_ if scaler.with_scaling else None
    )


def _maxabs(scaler: Any) -> Step:
    if getattr(scaler, "clip", False):
        raise NotPlanned("MaxAbsScaler that clips")
    return Scaled(over=scaler.scale_)


def _function(transformer: Any) -> Step:
    if transformer.func is None:
        return Same()
    if not isinstance(transformer.func, numpy.ufunc) or transformer.kw_args:
        raise NotPlanned("FunctionTransformer with code of its own")
    return finishes.named(transformer.func) or Function(transformer.func)


KNOWN: Dict[str, Callable[[Any], Step]] = {
    "SimpleImputer": Imputed, "StandardScaler": _standard, "MinMaxScaler": _minmax, "RobustScaler": _robust,
    "MaxAbsScaler": _maxabs, "FunctionTransformer": _function,
}  # fmt: skip
