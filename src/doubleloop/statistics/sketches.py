"""Mergeable summaries of one column's values: moments, a histogram on fixed bins, counts of categories.

Each merges with ``+`` in any order and grouping to the same result (moments: up to rounding).
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from doubleloop.base import errors
from doubleloop.statistics import columns

DEFAULT_CATEGORIES = 1000


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of finite values (Chan, Golub, LeVeque 1983, Welford's update)."""

    count: int = 0
    mean: float = 0.0
    deviations: float = 0.0

    @staticmethod
    def of(values: columns.Floats) -> Moments:
        if not len(values):
            return Moments()
        with np.errstate(over="ignore"):
            mean = float(values.mean())
            if math.isinf(mean):
                mean = float((values / len(values)).sum())
            return Moments(len(values), mean, float(((values - mean) ** 2).sum()))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if not self.count or not other.count:
            return other if other.count else self
        # The larger part (ties: the smaller mean) comes first, so that a + b and b + a round alike.
        large, small = sorted((self, other), key=lambda part: (-part.count, part.mean))
        apart = small.mean - large.mean
        mean = large.mean + apart * (small.count / count)
        if math.isinf(apart):
            mean = large.mean * (large.count / count) + small.mean * (small.count / count)
        between = apart * apart * (large.count * (small.count / count))
        return Moments(count, mean, (self.deviations + other.deviations) + between)

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for fewer than two values."""
        return math.sqrt(self.deviations / (self.count - 1)) if self.count > 1 else None


@dataclass(frozen=True)
class Histogram:
    """Counts in ``[edges[i], edges[i+1])`` (the last bin closed), of finite values below and above all bins, and of
    either infinity. ``len(counts) == len(edges) - 1``; no edges at all when the reference had no finite value."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0
    minus_infinity: int = 0
    plus_infinity: int = 0

    @staticmethod
    def of(values: columns.Floats, edges: tuple[float, ...]) -> Histogram:
        """The histogram of ``values``, none of them NaN."""
        finite = values[np.isfinite(values)]
        infinities = (int((values == -math.inf).sum()), int((values == math.inf).sum()))
        if len(edges) < 2:
            return Histogram((), (), 0, len(finite), *infinities)
        counts = tuple(int(count) for count in np.histogram(finite, np.asarray(edges))[0])
        below, above = int((finite < edges[0]).sum()), int((finite > edges[-1]).sum())
        return Histogram(edges, counts, below, above, *infinities)

    def __add__(self, other: Histogram) -> Histogram:
        if self.edges != other.edges:
            raise errors.InvalidInput(
                "two histograms with different bins cannot be merged",
                cure="Profile both windows against the same reference.",
            )
        return Histogram(
            self.edges,
            tuple(one + two for one, two in zip(self.counts, other.counts, strict=True)),
            self.below + other.below,
            self.above + other.above,
            self.minus_infinity + other.minus_infinity,
            self.plus_infinity + other.plus_infinity,
        )

    def as_counts(self) -> columns.Floats:
        """From minus infinity to plus infinity: shape ``(bins + 4,)``, two outer places on each side."""
        outer = (self.minus_infinity, self.below), (self.above, self.plus_infinity)
        return np.array([*outer[0], *self.counts, *outer[1]], dtype=np.float64)


@dataclass(frozen=True)
class Categories:
    """Counts per label, at most ``limit`` of them.

    When there are more labels, those with the smallest hashes stay: the same ones whatever the order of merging, each
    with its exact count (Beyer et al. 2007, k minimum values). ``total`` counts every value, kept or not.
    """

    limit: int = DEFAULT_CATEGORIES
    counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    complete: bool = True

    @staticmethod
    def of(counts: Mapping[str, int], limit: int = DEFAULT_CATEGORIES) -> Categories:
        return Categories(limit, *_bounded(counts, limit, sum(counts.values()), True))

    def __add__(self, other: Categories) -> Categories:
        if self.limit != other.limit:
            raise errors.InvalidInput(
                f"category counts bounded to {self.limit} and to {other.limit} cannot be merged",
                cure="Profile both windows against the same reference.",
            )
        merged = dict(self.counts)
        for label, count in other.counts.items():
            merged[label] = merged.get(label, 0) + count
        complete = self.complete and other.complete
        return Categories(self.limit, *_bounded(merged, self.limit, self.total + other.total, complete))

    @property
    def others(self) -> int:
        """How many values belong to labels that were not kept."""
        return self.total - sum(self.counts.values())

    def cutoff(self) -> tuple[bytes, str] | None:
        """The largest hash up to which every label is known; None when all labels are."""
        return None if self.complete else max(map(_hash, self.counts))

    def top(self, count: int) -> list[tuple[str, int]]:
        """The most frequent of the kept labels, ties in the labels' order."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:count]


def _bounded(counts: Mapping[str, int], limit: int, total: int, complete: bool) -> tuple[dict[str, int], int, bool]:
    kept = counts.keys()
    if len(kept) > limit:
        kept, complete = heapq.nsmallest(limit, counts, key=_hash), False  # type: ignore[assignment]
    return {label: counts[label] for label in sorted(kept)}, total, complete


def _hash(label: str) -> tuple[bytes, str]:
    return hashlib.blake2b(label.encode(), digest_size=8).digest(), label


def align(one: Categories, two: Categories) -> tuple[columns.Floats, columns.Floats]:
    """Counts of both over the labels that both know for certain, and last, where there are any, of all the others."""
    cutoffs = [cutoff for cutoff in (one.cutoff(), two.cutoff()) if cutoff is not None]
    if not cutoffs:
        return columns.align(one.counts, two.counts)
    certain = {label for label in one.counts.keys() | two.counts.keys() if _hash(label) <= min(cutoffs)}
    sides = [{label: side.counts.get(label, 0) for label in certain} for side in (one, two)]
    first, second = columns.align(*sides)
    return (
        np.append(first, one.total - first.sum()),
        np.append(second, two.total - second.sum()),
    )


def to_dict(sketch: Moments | Histogram | Categories) -> dict[str, Any]:
    """A form that canonical JSON can write: numbers that JSON does not know become text."""
    if isinstance(sketch, Moments):
        return {
            "count": sketch.count,
            "mean": number_out(sketch.mean),
            "deviations": number_out(sketch.deviations),
        }
    if isinstance(sketch, Histogram):
        names = ("below", "above", "minus_infinity", "plus_infinity")
        outer = {name: getattr(sketch, name) for name in names}
        return {"edges": list(sketch.edges), "counts": list(sketch.counts)} | outer
    return {
        "limit": sketch.limit,
        "counts": dict(sketch.counts),
        "total": sketch.total,
        "complete": sketch.complete,
    }


def number_out(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def number_in(value: float | str | None) -> float | None:
    return None if value is None else float(value)
