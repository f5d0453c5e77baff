"""How far a current sample stands from a reference sample: Azure's five drift metrics.

Every function takes two columns (nulls and NaN are left out; the caller decides whether a row with a null in another
column goes too) and gives one float. Distances grow with drift; the two tests give their p-value, which shrinks.
Source of the definitions: azureml-assets, ``model_monitoring/components/src/data_drift_compute_metrics`` (MIT).
"""

from __future__ import annotations

import math

import numpy as np

from doubleloop.base import errors
from doubleloop.statistics import columns, gamma, kolmogorov, schema

LEAST_NORM = 0.001
_CONSTANT_MARGIN = 0.005


def jensen_shannon_distance(reference: columns.Column, current: columns.Column, kind: schema.Kind | str) -> float:
    """Square root of the Jensen-Shannon divergence to base 2 of the shares per bin or category: 0 to 1."""
    return jensen_shannon_of_counts(*tallies(reference, current, kind))


def population_stability_index(reference: columns.Column, current: columns.Column, kind: schema.Kind | str) -> float:
    """``sum((p - q) ln(p / q))`` over bins or categories, each count plus one: 0 to about ``2 ln(rows)``."""
    return stability_of_counts(*tallies(reference, current, kind))


def normalized_wasserstein_distance(reference: columns.Column, current: columns.Column) -> float:
    """Earth mover's distance divided by the reference's sample standard deviation (at least 0.001).

    Infinite values cannot be moved over a finite distance: the result is ``inf`` when the share of values at plus
    or minus infinity differs. The deviation is that of the finite values.
    """
    before, after = _two_samples(reference, current)
    return _wasserstein(before, after) / norm(before)


def two_sample_kolmogorov_smirnov_test(reference: columns.Column, current: columns.Column) -> float:
    """The p-value: exact up to 10,000 values a side, asymptotic above (Azure refuses those)."""
    before, after = _two_samples(reference, current)
    return kolmogorov.two_sample_p_value(kolmogorov.statistic(before, after), len(before), len(after))


def pearsons_chi_squared_test(reference: columns.Column, current: columns.Column) -> float:
    """The p-value of the current counts against the reference's shares times the current's rows."""
    before, after = columns.align(columns.counts(reference), columns.counts(current))
    _some_rows(before.sum(), after.sum())
    return chi_squared_of_counts(before, after)


def jensen_shannon_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """The distance of two vectors of counts over the same bins, shape ``(bins,)`` each."""
    _some_rows(reference.sum(), current.sum())
    p, q = reference / reference.sum(), current / current.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(min(max(divergence / math.log(2), 0.0), 1.0))


def stability_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """Population stability index of two vectors of counts over the same bins."""
    _some_rows(reference.sum(), current.sum())
    p = (reference + 1) / (reference.sum() + len(reference))
    q = (current + 1) / (current.sum() + len(current))
    return float(((q - p) * np.log(q / p)).sum())


def chi_squared_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """p-value of ``current`` given the shares of ``reference``; 0 when a category is new, 1 when there is one only."""
    _some_rows(reference.sum(), current.sum())
    seen = (reference > 0) | (current > 0)
    reference, current = reference[seen], current[seen]
    if (reference == 0).any():
        return 0.0
    expected = reference / reference.sum() * current.sum()
    statistic = float(((current - expected) ** 2 / expected).sum())
    return gamma.chi_squared_survival(statistic, len(expected) - 1)


def tallies(
    reference: columns.Column, current: columns.Column, kind: schema.Kind | str
) -> tuple[columns.Floats, columns.Floats]:
    """Counts of both sides over common bins (numerical) or over the union of categories."""
    if str(kind) == schema.Kind.CATEGORICAL:
        return columns.align(columns.counts(reference), columns.counts(current))
    before, after = _two_samples(reference, current)
    edges = bin_edges(before, after)
    return histogram(before, edges, after), histogram(after, edges, before)


def bin_edges(reference: columns.Floats, current: columns.Floats) -> columns.Floats:
    """Equal bins over the common finite range: ``ceil(log2(min(rows)) + 1)`` of them (Sturges); one bin of
    plus and minus 0.5 % around a constant. Shape ``(bins + 1,)``; empty when no value is finite."""
    finite = [side[np.isfinite(side)] for side in (reference, current)]
    bounds = [bound for side in finite if len(side) for bound in (side.min(), side.max())]
    if not bounds:
        return np.empty(0)
    return equal_bins(float(min(bounds)), float(max(bounds)), sturges(min(len(reference), len(current))))


def sturges(rows: int) -> int:
    return math.ceil(math.log2(max(rows, 1)) + 1)


def equal_bins(low: float, high: float, count: int) -> columns.Floats:
    """``count`` bins of equal width from ``low`` to ``high``; one bin around ``low`` when both are the same."""
    if low == high:
        margin = max(abs(low) * _CONSTANT_MARGIN if low else _CONSTANT_MARGIN, float(np.spacing(abs(low))))
        largest = float(np.finfo(np.float64).max)
        return np.array([max(low - margin, -largest), min(low + margin, largest)])
    if math.isinf(high - low):
        return np.unique(np.linspace(low / 2, high / 2, count + 1) * 2)
    width = (high - low) / count  # Azure's own arithmetic, for values that lie on an edge
    edges = low + np.arange(count + 1) * width
    edges[-1] = high
    return np.unique(edges)


def histogram(values: columns.Floats, edges: columns.Floats, other: columns.Floats) -> columns.Floats:
    """Counts per bin, the last one closed; plus a bin for each infinity that either side holds."""
    finite = values[np.isfinite(values)]
    inner = np.histogram(finite, edges)[0].astype(np.float64) if len(edges) else np.empty(0)
    outer = [
        float((values == infinity).sum())
        for infinity in (-math.inf, math.inf)
        if (values == infinity).any() or (other == infinity).any()
    ]
    return np.concatenate([inner, outer])


def norm(reference: columns.Floats) -> float:
    """Sample standard deviation of the finite values, at least 0.001; 0.001 for fewer than two."""
    finite = reference[np.isfinite(reference)]
    if len(finite) < 2:
        return LEAST_NORM
    return max(float(finite.std(ddof=1)), LEAST_NORM)


def _wasserstein(before: columns.Floats, after: columns.Floats) -> float:
    """Area between the two empirical distribution functions."""
    for infinity in (-math.inf, math.inf):
        if (before == infinity).sum() * len(after) != (after == infinity).sum() * len(before):
            return math.inf
    first, second = np.sort(before), np.sort(after)
    places = np.sort(np.concatenate([first, second]))
    places = places[np.isfinite(places)]
    if len(places) < 2:
        return 0.0
    share_first = np.searchsorted(first, places[:-1], side="right") / len(first)
    share_second = np.searchsorted(second, places[:-1], side="right") / len(second)
    return float((np.abs(share_first - share_second) * np.diff(places)).sum())


def _relative_entropy(p: columns.Floats, q: columns.Floats) -> float:
    held = p > 0
    return float((p[held] * np.log(p[held] / q[held])).sum())


def _two_samples(reference: columns.Column, current: columns.Column) -> tuple[columns.Floats, columns.Floats]:
    before, after = columns.numbers(reference), columns.numbers(current)
    _some_rows(len(before), len(after))
    return before, after


def _some_rows(reference: float, current: float) -> None:
    for side, rows in (("reference", reference), ("current", current)):
        if rows <= 0:
            raise errors.InvalidInput(
                f"the {side} column holds no values, so there is nothing to compare",
                cure="Widen the data window, or look at null_value_rate first.",
            )
