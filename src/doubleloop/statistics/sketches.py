"""Mergeable summaries of one column's values: moments, a histogram on fixed bins, counts of categories.

Each merges with ``+`` in any order and grouping to the same result (moments: up to rounding).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from doubleloop.base import errors
from doubleloop.statistics import columns, hashes, samples

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
        mean = samples.mean(values)
        return Moments(len(values), mean, samples.deviations(values, mean))

    @staticmethod
    def merged(counts: columns.Floats, means: columns.Floats, deviations: columns.Floats) -> Moments:
        """Of many parts, shape ``(parts,)`` each. Sums are exact (Shewchuk 1997), so every order of parts gives the
        same."""
        held = counts > 0
        counts, means, deviations = counts[held], means[held], deviations[held]
        if not len(counts):
            return Moments()
        total, anchor = float(counts.sum()), float(means.min())
        with np.errstate(over="ignore"):
            apart = means - anchor
            if not np.isfinite(apart * counts).all():
                return Moments(int(total), float((np.sort(means) * (counts / total)).sum()), math.inf)
            mean = anchor + math.fsum(apart * counts) / total
            between = counts * (means - mean) ** 2
        return Moments(int(total), mean, float(_sum(deviations) + _sum(between)))

    def __add__(self, other: Moments) -> Moments:
        return merged_moments([self, other])

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
    def of(values: samples.Numbers, edges: tuple[float, ...]) -> Histogram:
        infinities = values.minus_infinity, values.plus_infinity
        if len(edges) < 2:
            return Histogram((), (), 0, len(values.finite), *infinities)
        counts = tuple(int(count) for count in values.counts(np.asarray(edges)))
        below = int(np.searchsorted(values.finite, edges[0], side="left"))
        return Histogram(edges, counts, below, len(values.finite) - below - sum(counts), *infinities)

    @staticmethod
    def merged(parts: Sequence[Histogram]) -> Histogram:
        edges = parts[0].edges
        if any(part.edges != edges for part in parts):
            raise errors.InvalidInput(
                "two histograms with different bins cannot be merged",
                cure="Profile both windows against the same reference.",
            )
        counts = tuple(map(sum, zip(*(part.counts for part in parts), strict=True)))
        names = ("below", "above", "minus_infinity", "plus_infinity")
        return Histogram(edges, counts, *(sum(getattr(part, name) for part in parts) for name in names))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram.merged([self, other])

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
        return Categories.bounded(counts, limit, sum(counts.values()), True)

    @staticmethod
    def bounded(counts: Mapping[str, int], limit: int, total: int, complete: bool) -> Categories:
        """Of counts of which some may have been left out already (then not ``complete``)."""
        labels = list(counts)
        if len(labels) > limit:
            # Of two labels with one hash, the one that sorts first stays.
            labels, complete = sorted(labels), False
            smallest = np.argsort(hashes.of(labels), kind="stable")[:limit]
            labels = [labels[place] for place in smallest]
        return Categories(limit, {label: counts[label] for label in sorted(labels)}, total, complete)

    @staticmethod
    def merged(parts: Sequence[Categories]) -> Categories:
        limit = parts[0].limit
        if any(part.limit != limit for part in parts):
            other = next(part.limit for part in parts if part.limit != limit)
            raise errors.InvalidInput(
                f"category counts bounded to {limit} and to {other} cannot be merged",
                cure="Profile both windows against the same reference.",
            )
        tally: dict[str, int] = {}
        for part in parts:
            for label, count in part.counts.items():
                tally[label] = tally.get(label, 0) + count
        total, complete = sum(part.total for part in parts), all(part.complete for part in parts)
        return Categories.bounded(tally, limit, total, complete)

    def __add__(self, other: Categories) -> Categories:
        return Categories.merged([self, other])

    @property
    def others(self) -> int:
        """How many values belong to labels that were not kept."""
        return self.total - sum(self.counts.values())

    def cutoff(self) -> int | None:
        """The largest hash up to which every label is known; None when all labels are."""
        return None if self.complete else int(hashes.of(list(self.counts)).max())

    def top(self, count: int) -> list[tuple[str, int]]:
        """The most frequent of the kept labels, ties in the labels' order."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:count]


def _sum(values: columns.Floats) -> float:
    return math.fsum(values) if np.isfinite(values).all() else math.inf


def merged_moments(parts: Sequence[Moments]) -> Moments:
    numbers = np.array([(part.count, part.mean, part.deviations) for part in parts], dtype=np.float64)
    return Moments.merged(*numbers.T)


def align(one: Categories, two: Categories) -> tuple[columns.Floats, columns.Floats]:
    """Counts of both over the labels that both know for certain, and last, where there are any, of all the others."""
    cutoffs = [cutoff for cutoff in (one.cutoff(), two.cutoff()) if cutoff is not None]
    if not cutoffs:
        return columns.align(one.counts, two.counts)
    labels = sorted(one.counts.keys() | two.counts.keys())
    known = hashes.of(labels) <= np.uint64(min(cutoffs))
    certain = [label for label, held in zip(labels, known, strict=True) if held]
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
