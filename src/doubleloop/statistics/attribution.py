"""Which features a target hangs on, and whether their order has changed: Azure's ``feature_attribution_drift``.

Where a model gives no importances of its own, a feature counts by how much of the target's variance it explains: the
correlation ratio η² over quantile bins or labels (K. Pearson 1905, *On the general theory of skew correlation*). On the
reference the target is what was learnt or predicted there, in production what the model predicts, so both are
attributions of one kind and no model has to be run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

BINS = 20


def importances(table: columns.Table, features: Iterable[str], target: str) -> dict[str, float]:
    """η² of each feature, 0 to 1. A text target is coded by rank; rows without a target are left out.

    Raises InvalidInput when a feature or the target is not in the table.
    """
    frame = columns.table(table)
    chosen = [name for name in features if name != target]
    unknown = sorted({target, *chosen} - set(frame.columns))
    if unknown:
        raise errors.InvalidInput(f"the data has no column {', '.join(map(repr, unknown))}")
    truth = frame[target]
    if not (truth.dtype.is_numeric() or truth.dtype == pl.Boolean):
        truth = truth.cast(pl.String).rank("dense")
    values = columns.with_holes(truth)
    return {name: explained(_groups(frame[name]), values) for name in chosen}


def explained(groups: NDArray[np.int64], values: columns.Floats) -> float:
    """η²: variance of the groups' means by that of all values. Group -1 is left out; 0 for a constant."""
    there = (groups >= 0) & np.isfinite(values)
    groups, values = groups[there], values[there]
    if not len(values):
        return 0.0
    apart = values - values.mean()
    total = float(np.dot(apart, apart))
    if total <= 0.0:
        return 0.0
    counts, sums = np.bincount(groups), np.bincount(groups, weights=apart)
    held = counts > 0
    return float(min((sums[held] ** 2 / counts[held]).sum() / total, 1.0))


def _groups(column: pl.Series) -> NDArray[np.int64]:
    """A number per row: the bin of equally many rows a number is in, or the label; -1 where it is missing."""
    if column.dtype.is_numeric() and column.n_unique() > BINS:
        values = columns.with_holes(column)
        there = ~np.isnan(values)
        if not there.any():
            return np.full(len(column), -1)
        edges = np.unique(np.quantile(values[there], np.linspace(0, 1, BINS + 1)[1:-1]))
        return np.where(there, np.searchsorted(edges, values, side="left"), -1).astype(np.int64)
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Null):
        return np.full(len(column), -1)
    held = column.fill_nan(None) if column.dtype.is_float() else column
    return (held.rank("dense").cast(pl.Int64).fill_null(0) - 1).to_numpy()


def normalized_discounted_cumulative_gain(reference: Mapping[str, float], current: Mapping[str, float]) -> float:
    """1 when production ranks the features as the reference does, less the more important ones fall: 0 to 1.

    Gains are the reference's importances, places those of the current ones, discounts ``1 / log2(place + 1)``; features
    that are equally important share their places (K. Järvelin, J. Kekäläinen 2002; F. McSherry, M. Najork 2008; what
    scikit-learn's ``ndcg_score`` computes). Raises InvalidInput for other features, fewer than two, or negative gains.
    """
    if reference.keys() != current.keys() or len(reference) < 2:
        raise errors.InvalidInput(
            "importances are compared over the same two or more features",
            cure=f"They are {', '.join(reference) or 'none'} and {', '.join(current) or 'none'}.",
        )
    gains = np.array([reference[name] for name in reference])
    scores = np.array([current[name] for name in reference])
    if (gains < 0).any() or not np.isfinite(gains).all() or not np.isfinite(scores).all():
        raise errors.InvalidInput("importances are finite, and those of the reference not negative")
    best = float((np.sort(gains)[::-1] * _discounts(len(gains))).sum())
    return _gain(gains, scores) / best if best > 0 else 0.0


def _gain(gains: columns.Floats, scores: columns.Floats) -> float:
    """Features of one score share the mean gain over the places they take together."""
    _, group, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=gains) / counts
    sums = np.add.reduceat(_discounts(len(gains)), np.cumsum(counts) - counts)
    return float((means * sums).sum())


def _discounts(count: int) -> columns.Floats:
    return 1.0 / np.log2(np.arange(count) + 2.0)
