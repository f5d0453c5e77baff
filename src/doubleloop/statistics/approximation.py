"""Drift read off two profiles, when rows are gone: on the reference's bins, one more on each side for what lies beyond.

Jensen-Shannon, population stability and chi-squared are exact for those bins and categories (Azure's bins span both
samples, so the numbers differ a little from the exact functions in ``drift``). Wasserstein takes values as spread
evenly within a bin, which is wrong by at most one bin width. Kolmogorov-Smirnov needs rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from doubleloop.statistics import columns, drift, profiles, samples, schema, sketches

_OF_COUNTS = {
    "jensen_shannon_distance": drift.jensen_shannon_of_counts,
    "population_stability_index": drift.stability_of_counts,
    "pearsons_chi_squared_test": drift.chi_squared_of_counts,
}
_OUTER = [0, 1, -2, -1]


def measure(
    metric: str, reference: profiles.ColumnProfile, current: profiles.ColumnProfile
) -> tuple[float | None, str]:
    """The value, or None and the reason. Both profiles belong to one reference, and the metric fits their kind."""
    for side, profile in (("reference", reference), ("current", current)):
        if not profile.values:
            return None, f"the {side} column holds no values"
    if metric == "two_sample_kolmogorov_smirnov_test":
        return None, "it needs rows; a profile keeps counts only"
    if reference.kind is schema.Kind.CATEGORICAL:
        if reference.categories is None or current.categories is None:
            return None, "the profiles hold no categories"
        return _OF_COUNTS[metric](*sketches.align(reference.categories, current.categories)), ""
    if reference.histogram is None or current.histogram is None or not reference.histogram.counts:
        return None, "the reference holds no finite values"
    if metric == "normalized_wasserstein_distance":
        return _wasserstein(reference, current), ""
    before, after = reference.histogram.as_counts(), current.histogram.as_counts()
    held = np.ones(len(before), dtype=bool)
    held[_OUTER] = (before + after)[_OUTER] > 0  # an outer bin counts only when somebody is in it
    return _OF_COUNTS[metric](before[held], after[held]), ""


def _wasserstein(reference: profiles.ColumnProfile, current: profiles.ColumnProfile) -> float:
    """Area between two piecewise linear distribution functions, over the reference's norm."""
    one, two = _Shape.of(reference), _Shape.of(current)
    if one.minus_infinity != two.minus_infinity or one.plus_infinity != two.plus_infinity:
        return math.inf
    places = np.union1d(one.knots, two.knots)
    gap = one.at(places) - two.at(places)
    deviation = reference.moments.std if reference.moments else None
    return _area(gap, np.diff(places)) / max(deviation or 0.0, samples.LEAST_NORM)


@dataclass(frozen=True)
class _Shape:
    """A distribution function, linear between knots: the share of all values at or below each knot."""

    knots: columns.Floats
    shares: columns.Floats
    minus_infinity: float
    plus_infinity: float

    @staticmethod
    def of(profile: profiles.ColumnProfile) -> _Shape:
        histogram = profile.histogram
        assert histogram is not None  # measure() has looked
        low, high = histogram.edges[0], histogram.edges[-1]
        low = min(low, profile.minimum) if profile.minimum is not None else low
        high = max(high, profile.maximum) if profile.maximum is not None else high
        # Without anybody below (above) the bins, the outer knot falls on the first (last) edge and counts nobody.
        knots = np.array([low, *histogram.edges, high])
        steps = [histogram.minus_infinity, histogram.below, *histogram.counts, histogram.above]
        shares = np.cumsum(steps) / profile.values
        knots, last = np.unique(knots[::-1], return_index=True)
        last = len(shares) - 1 - last
        ends = histogram.minus_infinity / profile.values, histogram.plus_infinity / profile.values
        return _Shape(knots, shares[last], *ends)

    def at(self, places: columns.Floats) -> columns.Floats:
        before = self.minus_infinity
        return np.interp(places, self.knots, self.shares, left=before, right=float(self.shares[-1]))


def _area(gap: columns.Floats, widths: columns.Floats) -> float:
    """Integral of the absolute value of a piecewise linear function given at its knots."""
    left, right = np.abs(gap[:-1]), np.abs(gap[1:])
    total = left + right
    crossed = np.divide(left**2 + right**2, 2 * total, out=np.zeros_like(total), where=total > 0)
    heights = np.where(gap[:-1] * gap[1:] < 0, crossed, total / 2)
    return float((heights * widths).sum())
