"""How far a current sample stands from a reference sample: Azure's five drift metrics.

Every function takes two columns, or two sides that ``samples`` prepared (nulls and NaN are left out; the caller
decides whether a row with a null in another column goes too), and gives one float. Distances grow with drift; the two
tests give their p-value, which shrinks.
Source of the definitions: azureml-assets, ``model_monitoring/components/src/data_drift_compute_metrics`` (MIT).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from doubleloop.statistics import columns, gamma, kolmogorov, samples, schema
from doubleloop.statistics.samples import Labels, Numbers, Side

_CONSTANT_MARGIN = 0.005
# Stays in the processor's cache, and below what OpenBLAS gives to threads that cost more than they bring.
_PIECE = 8192
_BLOCK = 64
_COLUMN = columns.Column | Side


def jensen_shannon_distance(reference: _COLUMN, current: _COLUMN, kind: schema.Kind | str) -> float:
    """Square root of the Jensen-Shannon divergence to base 2 of the shares per bin or category: 0 to 1."""
    return jensen_shannon_of_counts(*tallies(reference, current, kind))


def population_stability_index(reference: _COLUMN, current: _COLUMN, kind: schema.Kind | str) -> float:
    """``sum((p - q) ln(p / q))`` over bins or categories, each count plus one: 0 to about ``2 ln(rows)``."""
    return stability_of_counts(*tallies(reference, current, kind))


def normalized_wasserstein_distance(reference: _COLUMN, current: _COLUMN) -> float:
    """Earth mover's distance divided by the reference's sample standard deviation (at least 0.001).

    Infinite values cannot be moved over a finite distance: the result is ``inf`` when the share of values at plus
    or minus infinity differs. The deviation is that of the finite values.
    """
    before, after = _two_samples(reference, current)
    return _wasserstein(before, after) / before.norm


def two_sample_kolmogorov_smirnov_test(reference: _COLUMN, current: _COLUMN) -> float:
    """The p-value: exact up to 10,000 values a side, asymptotic above (Azure refuses those)."""
    before, after = _two_samples(reference, current)
    scaled = kolmogorov.statistic_of_sorted(before.ordered, after.ordered)
    return kolmogorov.two_sample_p_value(scaled, len(before), len(after))


def pearsons_chi_squared_test(reference: _COLUMN, current: _COLUMN) -> float:
    """The p-value of the current counts against the reference's shares times the current's rows."""
    before, after = _two_tallies(reference, current)
    samples.some_values(before.sum(), after.sum())
    return chi_squared_of_counts(before, after)


def jensen_shannon_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """The distance of two vectors of counts over the same bins, shape ``(bins,)`` each."""
    samples.some_values(reference.sum(), current.sum())
    p, q = reference / reference.sum(), current / current.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(min(max(divergence / math.log(2), 0.0), 1.0))


def stability_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """Population stability index of two vectors of counts over the same bins."""
    samples.some_values(reference.sum(), current.sum())
    p = (reference + 1) / (reference.sum() + len(reference))
    q = (current + 1) / (current.sum() + len(current))
    return float(((q - p) * np.log(q / p)).sum())


def chi_squared_of_counts(reference: columns.Floats, current: columns.Floats) -> float:
    """p-value of ``current`` given the shares of ``reference``; 0 when a category is new, 1 when there is one only."""
    samples.some_values(reference.sum(), current.sum())
    seen = (reference > 0) | (current > 0)
    reference, current = reference[seen], current[seen]
    if (reference == 0).any():
        return 0.0
    expected = reference / reference.sum() * current.sum()
    statistic = float(((current - expected) ** 2 / expected).sum())
    return gamma.chi_squared_survival(statistic, len(expected) - 1)


def tallies(reference: _COLUMN, current: _COLUMN, kind: schema.Kind | str) -> tuple[columns.Floats, columns.Floats]:
    """Counts of both sides over common bins (numerical) or over the union of categories."""
    if str(kind) == schema.Kind.CATEGORICAL:
        return _two_tallies(reference, current)
    before, after = _two_samples(reference, current)
    edges = bin_edges(before, after)
    return histogram(before, edges, after), histogram(after, edges, before)


def bin_edges(reference: Numbers, current: Numbers) -> columns.Floats:
    """Equal bins over the common finite range: ``ceil(log2(min(rows)) + 1)`` of them (Sturges); one bin of
    plus and minus 0.5 % around a constant. Shape ``(bins + 1,)``; empty when no value is finite."""
    bounds = [float(side.finite[end]) for side in (reference, current) if len(side.finite) for end in (0, -1)]
    if not bounds:
        return np.empty(0)
    return equal_bins(min(bounds), max(bounds), sturges(min(len(reference), len(current))))


def sturges(rows: int) -> int:
    return math.ceil(math.log2(max(rows, 1)) + 1)


def equal_bins(low: float, high: float, count: int) -> columns.Floats:
    """``count`` bins of equal width from ``low`` to ``high``; one bin around ``low`` when both are the same."""
    if low == high:
        margin = max(abs(low) * _CONSTANT_MARGIN if low else _CONSTANT_MARGIN, float(np.spacing(abs(low))))
        largest = float(np.finfo(np.float64).max)
        return np.array([max(low - margin, -largest), min(low + margin, largest)])
    if math.isinf(high - low):
        return _different(np.linspace(low / 2, high / 2, count + 1) * 2)
    width = (high - low) / count  # Azure's own arithmetic, for values that lie on an edge
    edges: columns.Floats = low + np.arange(count + 1, dtype=np.float64) * width
    edges[-1] = high
    return _different(edges)


def _different(ordered: columns.Floats) -> columns.Floats:
    """Each of the values once. ``np.unique`` would sort them again, and import masked arrays to do so."""
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


def histogram(side: Numbers, edges: columns.Floats, other: Numbers) -> columns.Floats:
    """Counts per bin, the last one closed; plus a bin for each infinity that either side holds."""
    outer = [
        float(getattr(side, name))
        for name in ("minus_infinity", "plus_infinity")
        if getattr(side, name) or getattr(other, name)
    ]
    return np.concatenate([side.counts(edges), outer])


def norm(reference: columns.Column | Numbers) -> float:
    """Sample standard deviation of the finite values, at least 0.001; 0.001 for fewer than two."""
    return Numbers.of(reference).norm


def _wasserstein(before: Numbers, after: Numbers) -> float:
    """Area between the two empirical distribution functions: between their inverses, value by value in order."""
    for name in ("minus_infinity", "plus_infinity"):
        if getattr(before, name) * len(after) != getattr(after, name) * len(before):
            return math.inf
    few, many = sorted((before.finite, after.finite), key=len)
    if not len(few):
        return 0.0
    return len(before.finite) / len(before) * _area(few, many)


def _area(few: columns.Floats, many: columns.Floats) -> float:
    """Between the inverses of two distribution functions, block by block of the ``many`` values. Where one side has
    all the larger values, its sum less the other's is the block's part; only in other blocks each value counts."""
    starts = np.arange(0, len(many), _BLOCK)
    edges = np.append(starts, len(many))
    place, rest = np.divmod(edges * len(few), len(many))  # an edge is at ``place + rest / len(many)`` of the few
    met = np.add.reduceat(few, place[:-1])
    met[place[1:] == place[:-1]] = 0.0
    first = few[np.minimum(place, len(few) - 1)]
    met += np.diff(first * (rest / len(many)))
    moved = np.abs(np.add.reduceat(many, starts) * (len(few) / len(many)) - met)
    last = few[place[1:] - (rest[1:] == 0)]
    clear = ((many[edges[1:] - 1] <= first[:-1]) | (last <= many[starts])) & np.isfinite(moved)
    others = (starts[~clear][:, np.newaxis] + np.arange(_BLOCK)).ravel()
    others = others[: np.searchsorted(others, len(many))]
    pieces = sum(_moved(few, many, others[start : start + _PIECE]) for start in range(0, len(others), _PIECE))
    return float(moved[clear].sum()) / len(few) + pieces / len(many)


def _moved(few: columns.Floats, many: columns.Floats, at: NDArray[np.int64]) -> float:
    """The part of the area under the values ``at`` some places of the ``many``, times ``len(many)``. In units of
    ``1 / len(few)`` the value at j reaches from ``j * len(few) / len(many)`` over ``len(few) / len(many)``, and meets
    one of the few or two neighbours."""
    reached = at * (len(few) / len(many))
    place = reached.astype(np.int64)
    share = np.minimum((1.0 - (reached - place)) * (len(many) / len(few)), 1.0)
    after = np.minimum(place + (share < 1.0), len(few) - 1)
    value = many[at]
    one, two = np.abs(few[place] - value), np.abs(few[after] - value)
    return float(np.dot(share, one - two) + two.sum())


def _relative_entropy(p: columns.Floats, q: columns.Floats) -> float:
    held = p > 0
    return float((p[held] * np.log(p[held] / q[held])).sum())


def _two_samples(reference: _COLUMN, current: _COLUMN) -> tuple[Numbers, Numbers]:
    before, after = Numbers.of(reference), Numbers.of(current)
    samples.some_values(len(before), len(after))
    return before, after


def _two_tallies(reference: _COLUMN, current: _COLUMN) -> tuple[columns.Floats, columns.Floats]:
    before, after = Labels.of(reference), Labels.of(current)
    return columns.align(before.counts, after.counts)
