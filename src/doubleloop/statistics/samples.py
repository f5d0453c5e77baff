"""One side of a column, prepared once: sorted numbers, or counted labels.

Every drift metric reads off one sort (histograms, both tests and the earth mover's distance), so a reference that is
compared again and again is sorted once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns, schema

Rows: TypeAlias = NDArray[np.int64]

LEAST_NORM = 0.001
_PIECE = 8192


@dataclass(frozen=True)
class Numbers:
    """``ordered``: the values that are there, sorted, infinities included. Shape ``(values,)``."""

    ordered: columns.Floats

    @staticmethod
    def of(values: columns.Column | Numbers, without: Rows = columns.NO_ROWS) -> Numbers:
        """``without``: numbers of rows to leave out. Raises InvalidInput for text and dates."""
        return values if isinstance(values, Numbers) else Numbers(columns.ordered(values, without))

    def __len__(self) -> int:
        return len(self.ordered)

    @cached_property
    def minus_infinity(self) -> int:
        return int(np.searchsorted(self.ordered, -math.inf, side="right"))

    @cached_property
    def plus_infinity(self) -> int:
        return len(self.ordered) - int(np.searchsorted(self.ordered, math.inf, side="left"))

    @cached_property
    def finite(self) -> columns.Floats:
        return self.ordered[self.minus_infinity : len(self.ordered) - self.plus_infinity]

    @cached_property
    def norm(self) -> float:
        """Sample standard deviation of the finite values, at least 0.001; 0.001 for fewer than two."""
        return max(self.deviation, LEAST_NORM) if len(self.finite) > 1 else LEAST_NORM

    @cached_property
    def deviation(self) -> float:
        """Sample standard deviation of the finite values, of which there are two at least."""
        middle = float(self.finite[len(self.finite) // 2])
        return math.sqrt(deviations(self.finite, middle) / (len(self.finite) - 1))

    def at(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Quantiles of the finite values, of which there is one at least, with straight lines between neighbours."""
        places = [share * (len(self.finite) - 1) for share in shares]
        found = []
        for place in places:
            low = math.floor(place)
            one, two = self.finite[low], self.finite[min(low + 1, len(self.finite) - 1)]
            found.append(float(one + (two - one) * (place - low)))
        return tuple(found)

    def counts(self, edges: columns.Floats) -> columns.Floats:
        """Finite values in ``[edges[i], edges[i + 1])``, the last bin closed. Shape ``(bins,)``."""
        if len(edges) < 2:
            return np.empty(0)
        places = np.searchsorted(self.finite, edges, side="left")
        places[-1] = np.searchsorted(self.finite, edges[-1], side="right")
        return np.diff(places).astype(np.float64)

    def outside(self, low: float, high: float) -> int:
        """Values below ``low`` or above ``high``."""
        below = int(np.searchsorted(self.ordered, low, side="left"))
        return below + len(self.ordered) - int(np.searchsorted(self.ordered, high, side="right"))


@dataclass(frozen=True)
class Labels:
    """How often each label occurs."""

    counts: Mapping[str, int]

    @staticmethod
    def of(values: columns.Column | Labels, without: Rows = columns.NO_ROWS) -> Labels:
        """``without``: numbers of rows to leave out. Raises InvalidInput for nested values."""
        if isinstance(values, Labels):
            return values
        return Labels(columns.counts_without(values, without))

    def __len__(self) -> int:
        return sum(self.counts.values())


Side = Numbers | Labels


def of(
    values: columns.Column,
    kind: schema.Kind | str,
    without: Rows = columns.NO_ROWS,
    space: columns.Floats | None = None,
) -> Side:
    """A column as it is judged, without some rows. Numbers are sorted in ``space``, which holds as many, when it is
    given. Raises InvalidInput for values that are not of the kind."""
    if str(kind) == schema.Kind.CATEGORICAL:
        return Labels.of(values, without)
    return Numbers(columns.ordered(values, without, space))


def mean(values: columns.Floats) -> float:
    with np.errstate(over="ignore"):
        found = float(values.mean())
    return found if math.isfinite(found) else float((values / len(values)).sum())


def deviations(values: columns.Floats, near: float) -> float:
    """Sum of squared deviations from the mean, which lies ``near`` (T. Chan, G. Golub, R. LeVeque, *Algorithms for
    Computing the Sample Variance*, 1983), piece by piece so that each stays in the processor's cache."""
    squares = apart = 0.0
    with np.errstate(over="ignore"):
        for start in range(0, len(values), _PIECE):
            piece = values[start : start + _PIECE] - near
            squares += float(np.dot(piece, piece))
            apart += float(piece.sum())
    return squares - apart * apart / len(values) if math.isfinite(squares) else squares


def some_values(reference: float, current: float) -> None:
    """Raises InvalidInput when either side holds none."""
    for side, rows in (("reference", reference), ("current", current)):
        if rows <= 0:
            raise errors.InvalidInput(
                f"the {side} column holds no values, so there is nothing to compare",
                cure="Widen the data window, or look at null_value_rate first.",
            )
