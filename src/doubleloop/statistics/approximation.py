"""Drift read off two profiles, when rows are gone: on the reference's bins, one more on each side for what lies beyond.

Jensen-Shannon, population stability and chi-squared are exact for those bins and categories (Azure's bins span both
samples, so the numbers differ a little from the exact functions in ``drift``). Wasserstein is that of the quantile
sketches: exact up to 200 values a side, beyond that off by at most the sketches' rank error (0.5 % of the values for a
window in one piece) times the range. Kolmogorov-Smirnov needs rows.
"""

from __future__ import annotations

import math

import numpy as np

from doubleloop.statistics import drift, profiles, samples, schema, sketches

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
        return _wasserstein(reference, current), "the profiles hold no finite values"
    before, after = reference.histogram.as_counts(), current.histogram.as_counts()
    held = np.ones(len(before), dtype=bool)
    held[_OUTER] = (before + after)[_OUTER] > 0  # an outer bin counts only when somebody is in it
    return _OF_COUNTS[metric](before[held], after[held]), ""


def _wasserstein(reference: profiles.ColumnProfile, current: profiles.ColumnProfile) -> float | None:
    """Over the reference's norm, from the sketches of both sides."""
    shares = []
    for profile in (reference, current):
        assert profile.histogram is not None  # measure() has looked
        ends = profile.histogram.minus_infinity, profile.histogram.plus_infinity
        shares.append(tuple(end / profile.values for end in ends))
    if shares[0] != shares[1]:
        return math.inf
    one, two = reference.quantiles, current.quantiles
    if one is None or two is None or not len(one.values) or not len(two.values):
        return None
    deviation = reference.moments.std if reference.moments else None
    return (1 - sum(shares[0])) * one.apart(two) / max(deviation or 0.0, samples.LEAST_NORM)
