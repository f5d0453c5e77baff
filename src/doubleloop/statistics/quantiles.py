"""A quantile sketch that merges: some hundred values stand for any number of them.

Each kept value stands for ``2 ** level`` values. Where there are too many, neighbours on a level are thinned to every
other one, which stands for twice as many one level up; which of the two is a coin that the values themselves throw, so
``a + b`` is ``b + a``, and ``merged`` gives one answer for any order of its parts (Z. Karnin, K. Lang, E. Liberty,
*Optimal quantile approximation in streams*, FOCS 2016, arXiv:1603.05346; P. Agarwal et al., *Mergeable summaries*,
PODS 2012).

How far a rank can be off, as a share of all values: nothing up to ``SIZE`` values; at most ``1 / SIZE`` (0.5 %) for
values that came in one piece; after any merging a standard deviation of about ``1 / SIZE``, less when many parts are
merged at once, since their errors cancel. The largest sketch holds about ``3 * SIZE`` values.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doubleloop.statistics import columns

SIZE = 200
_SHRINK = 2 / 3  # the capacity of a level by that of the level above it
_LEAST = 8


@dataclass(frozen=True, eq=False)
class Quantiles:
    """``values`` sorted within each level, levels from the lowest up; shapes ``(kept,)`` each."""

    values: columns.Floats
    levels: NDArray[np.uint8]

    @staticmethod
    def of(ordered: columns.Floats) -> Quantiles:
        """Of finite values, sorted."""
        steps = max(math.ceil(math.log2(len(ordered) / SIZE)), 0) if len(ordered) else 0
        return _built(_thinned(ordered, 0, steps))

    def __add__(self, other: Quantiles) -> Quantiles:
        return merged([self, other])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantiles) and (
            np.array_equal(self.values, other.values) and np.array_equal(self.levels, other.levels)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def count(self) -> int:
        """How many values this stands for: exactly as many as there were."""
        return int((np.int64(1) << self.levels.astype(np.int64)).sum())

    def at(self, shares: Sequence[float]) -> columns.Floats:
        """The values below which these shares (0 to 1) of all lie, interpolated between kept values; NaN for a sketch
        of nothing."""
        if not len(self.values):
            return np.full(len(shares), math.nan)
        order = np.argsort(self.values, kind="stable")
        weights = np.exp2(self.levels[order].astype(np.float64))
        middles = np.cumsum(weights) - weights / 2
        return np.interp(np.asarray(shares) * weights.sum(), middles, self.values[order])

    def share_below(self, place: float) -> float:
        """Share of all values at or below ``place``; NaN for a sketch of nothing."""
        weights = np.exp2(self.levels.astype(np.float64))
        return float(weights[self.values <= place].sum() / weights.sum()) if len(weights) else math.nan

    def to_dict(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "levels": self.levels.tolist()}

    @staticmethod
    def from_dict(body: Mapping[str, Any]) -> Quantiles:
        return Quantiles(np.array(body["values"], dtype=np.float64), np.array(body["levels"], dtype=np.uint8))


def merged(parts: Iterable[Quantiles]) -> Quantiles:
    """All of them as one, the same for every order of the parts."""
    held = list(parts)
    values = np.concatenate([part.values for part in held]) if held else np.empty(0)
    levels = np.concatenate([part.levels for part in held]) if held else np.empty(0, dtype=np.uint8)
    return of_items(values, levels)


def of_items(values: columns.Floats, levels: NDArray[np.uint8]) -> Quantiles:
    """Of the kept values of any number of sketches, in any order."""
    held = {level: np.sort(values[levels == level]) for level in range(int(levels.max(initial=0)) + 1)}
    held = {level: found for level, found in held.items() if len(found)}
    while sum(map(len, held.values())) > _budget(max(held, default=0)):
        level = min(level for level, found in held.items() if len(found) > _capacity(max(held) - level))
        found = held.pop(level)
        steps = max(1, math.ceil(math.log2(len(found) / SIZE)))
        for higher, kept in _thinned(found, level, steps).items():
            held[higher] = np.sort(np.concatenate([held[higher], kept])) if higher in held else kept
    return _built(held)


def _budget(top: int) -> int:
    return sum(_capacity(top - level) for level in range(top + 1))


def _capacity(depth: int) -> int:
    return max(_LEAST, math.ceil(SIZE * _SHRINK**depth))


def _thinned(ordered: columns.Floats, level: int, steps: int) -> dict[int, columns.Floats]:
    """One of each ``2 ** steps`` neighbours, ``steps`` levels up; what is left over likewise, in smaller runs."""
    found: dict[int, columns.Floats] = {}
    for step in range(steps, -1, -1):
        run = 1 << step
        whole = len(ordered) // run * run
        middle = max(run // 2 - 1, 0)  # a run has two middles
        picked = ordered[middle:whole:run]
        if len(picked):
            found[level + step] = ordered[middle + 1 : whole : run] if step and _coin(picked) else picked
        ordered = ordered[whole:]
    return found


def _coin(values: columns.Floats) -> bool:
    return bool(zlib.crc32(values.tobytes()) & 1)


def _built(held: Mapping[int, columns.Floats]) -> Quantiles:
    there = [level for level in sorted(held) if len(held[level])]
    values = np.concatenate([held[level] for level in there]) if there else np.empty(0)
    levels = np.repeat(np.array(there, dtype=np.uint8), [len(held[level]) for level in there])
    return Quantiles(values, levels)
