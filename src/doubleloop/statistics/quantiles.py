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

from doubleloop.statistics import columns, hashes

SIZE = 200
_SHRINK = 2 / 3  # the capacity of a level by that of the level above it
_LEAST = 8
_QUIET = 8
_MANY = 1000
LEVELS = 40  # two hundred times 2**40 values


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

    def apart(self, other: Quantiles) -> float:
        """The earth mover's distance of what both stand for; neither may be of nothing. Exact where both hold every
        value; otherwise off by no more than the error of the ranks times the range of the values, on either side."""
        places = np.sort(np.concatenate([self.values, other.values]))
        one, two = (side._reached(places[:-1]) for side in (self, other))
        return float((np.abs(one - two) * np.diff(places)).sum())

    def _reached(self, places: columns.Floats) -> columns.Floats:
        """Share of all values at or below each of the places."""
        order = np.argsort(self.values, kind="stable")
        reached = np.concatenate([[0.0], np.cumsum(np.exp2(self.levels[order].astype(np.float64)))])
        found: columns.Floats = reached[np.searchsorted(self.values[order], places, side="right")] / reached[-1]
        return found

    def to_dict(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "levels": self.levels.tolist()}

    @staticmethod
    def from_dict(body: Mapping[str, Any]) -> Quantiles:
        return Quantiles(np.array(body["values"], dtype=np.float64), np.array(body["levels"], dtype=np.uint8))


def merged(parts: Iterable[Quantiles]) -> Quantiles:
    """All of them as one, the same for every order of the parts."""
    held = list(parts)
    if not held:
        return _built({})
    values = np.concatenate([part.values for part in held])
    on_levels = np.array([[np.bincount(part.levels, minlength=LEVELS)] for part in held])
    return of_items(*Runs.of(values, on_levels).thinned(tops(on_levels))[0])


def tops(on_levels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The level up to which the sketches of a column may each be thinned by itself before they become one, so that
    many need not be sorted together. Each thinning is off by at most half of ``2 ** level`` ranks, to either side, so
    that of ``n`` sketches the errors' standard deviation is ``sqrt(n)`` times that: kept to an eighth of ``1 / SIZE``
    of all values. Fewer than a thousand sketches are not
    thinned before. ``on_levels``: values of each sketch on each level, shape ``(sketches, columns, levels)``; the
    result's shape is ``(columns,)``."""
    weights = on_levels.sum(axis=0, dtype=np.float64) @ np.exp2(np.arange(on_levels.shape[2]))
    sketches = on_levels.any(axis=2).sum(axis=0)
    room = weights / (_QUIET * SIZE * np.sqrt(np.maximum(sketches, 1)))
    many = (sketches >= _MANY) & (room >= 1)
    found: NDArray[np.int64] = np.where(many, np.log2(np.maximum(room, 1)) + 1, 0).astype(np.int64)
    return found


@dataclass(frozen=True, eq=False)
class Runs:
    """Sketches of many columns, one after the other: ``values`` in the order of sketches, columns and levels, each run
    sorted. Per run that is not empty its ``column``, ``level``, where it begins, and how long it is."""

    values: columns.Floats
    wide: int
    column: NDArray[np.int64]
    level: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    @staticmethod
    def of(values: columns.Floats, on_levels: NDArray[np.integer]) -> Runs:
        """``on_levels`` as in ``tops``."""
        _, column, level = there = np.nonzero(on_levels)
        length = on_levels[there].astype(np.int64)
        return Runs(values, on_levels.shape[1], column, level, np.cumsum(length) - length, length)

    def thinned(self, tops: NDArray[np.int64]) -> list[tuple[columns.Floats, NDArray[np.uint8]]]:
        """Values and levels of each column, no run thinned beyond its column's top: as ``_thinned`` does it, for all
        runs together. The coin of a run is thrown by all its values."""
        steps = np.maximum(tops[self.column] - self.level, 0)
        if not len(steps):
            return [(np.empty(0), np.empty(0, dtype=np.uint8)) for _ in range(self.wide)]
        coins = hashes.mixed(np.add.reduceat(self.values.view(np.uint64), self.start)).view(np.int64)
        at, left, picked = self.start, self.length, []
        for step in range(int(steps.max()), -1, -1):
            count = np.where(steps >= step, left >> step, 0)
            first = at + (max((1 << step) // 2 - 1, 0) + ((coins >> step) & 1) if step else 0)
            number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            run = np.repeat(np.arange(len(count)), count)
            picked.append((first[run] + (number << step), run, self.level[run] + step))
            at, left = at + (count << step), left - (count << step)
        place, run, level = map(np.concatenate, zip(*picked, strict=True))
        column = self.column[run]
        order = np.argsort(column.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(column, minlength=self.wide))[:-1]
        values, levels = self.values[place[order]], level[order].astype(np.uint8)
        return list(zip(np.split(values, ends), np.split(levels, ends), strict=True))


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
