"""A small model of numbers from a table: gradient boosted trees on binned columns, in numpy.

It stands behind estimates and attributions, not behind predictions that anybody is served. Squared error, trees grown
level by level on histograms of gradients (J. Friedman 2001; G. Ke et al. 2017). Missing values and labels that were not
there when it was fitted go to a bin of their own. The same data gives the same model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

BINS = 64
MOST_ROWS = 20_000
_ROUNDS, _DEPTH, _RATE, _LEAST_LEAF, _RIDGE = 80, 4, 0.1, 20, 1.0
_SMOOTHING = 20.0

Bins = NDArray[np.int64]


@dataclass(frozen=True)
class _Column:
    """How a column becomes bins 1 … ``BINS``; bin 0 is for what is missing or new. Labels are in the order of their
    mean target."""

    edges: columns.Floats | None
    labels: Mapping[str, int]

    @staticmethod
    def of(column: pl.Series, target: columns.Floats) -> _Column:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            values = columns.numbers(column)
            inner = np.linspace(0, 1, BINS)[1:-1]
            return _Column(np.unique(np.quantile(values, inner)) if len(values) else np.empty(0), {})
        frame = pl.DataFrame({"label": columns.as_labels(column), "target": target}).drop_nulls()
        groups = frame.group_by("label").agg(pl.col("target").sum().alias("sum"), pl.len().alias("rows"))
        shrunk = (groups["sum"] + target.mean() * _SMOOTHING) / (groups["rows"] + _SMOOTHING)
        ranked = groups.with_columns(shrunk.alias("mean")).sort("mean", "label")["label"].to_list()
        return _Column(None, {label: 1 + at * (BINS - 1) // len(ranked) for at, label in enumerate(ranked)})

    def bins(self, column: pl.Series) -> Bins:
        if self.edges is not None:
            numeric = column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)
            values = columns.with_holes(column if numeric else column.cast(pl.Float64, strict=False))
            return np.where(np.isnan(values), 0, 1 + np.searchsorted(self.edges, values, side="left"))
        known = columns.as_labels(column).replace_strict(self.labels, default=0, return_dtype=pl.Int64)
        return known.fill_null(0).to_numpy()


@dataclass(frozen=True)
class _Tree:
    """A full tree: node k has children 2k + 1 and 2k + 2. ``features`` -1 sends every row left."""

    features: NDArray[np.int64]
    limits: NDArray[np.int64]
    leaves: columns.Floats

    def __call__(self, bins: Bins) -> columns.Floats:
        node = np.zeros(bins.shape[1], dtype=np.int64)
        rows = np.arange(bins.shape[1])
        for _ in range(_DEPTH):
            feature = self.features[node]
            right = (feature >= 0) & (bins[feature, rows] > self.limits[node])
            node = 2 * node + 1 + right
        return self.leaves[node - len(self.features)]


@dataclass(frozen=True)
class Model:
    names: Sequence[str]
    base: float
    _columns: Sequence[_Column]
    _trees: Sequence[_Tree]
    gains: Mapping[str, float]  # how much squared error the splits on each column took away

    def predict(self, table: columns.Table) -> columns.Floats:
        """Shape ``(rows,)``. Raises InvalidInput when a column is not there."""
        frame = columns.table(table)
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise errors.InvalidInput(f"the data has no column {', '.join(map(repr, missing))}")
        bins = np.array([held.bins(frame[name]) for name, held in zip(self.names, self._columns, strict=True)])
        return self.base + sum((tree(bins) for tree in self._trees), np.zeros(frame.height))


def fit(table: columns.Table, target: columns.Floats) -> Model:
    """Of a table and numbers of shape ``(rows,)``; of more than ``MOST_ROWS`` rows, so many evenly spaced ones.

    Raises InvalidInput for no columns, and for fewer than forty rows with a finite target.
    """
    frame, target = columns.table(table), np.asarray(target, dtype=np.float64)
    frame = frame.select([name for name in frame.columns if not frame[name].dtype.is_nested()])
    held = np.flatnonzero(np.isfinite(target))
    if len(held) < 2 * _LEAST_LEAF or not frame.width:
        raise errors.InvalidInput(
            f"{len(held)} rows and {frame.width} columns are too few to learn from", cure="Take more reference data."
        )
    if len(held) > MOST_ROWS:
        held = held[np.linspace(0, len(held) - 1, MOST_ROWS).astype(np.int64)]
    frame, target = frame[held], target[held]
    binned = [_Column.of(column, target) for column in frame.iter_columns()]
    bins = np.array([each.bins(column) for each, column in zip(binned, frame.iter_columns(), strict=True)])
    base = float(target.mean())
    trees, gains, rest = [], np.zeros(frame.width), target - base
    for _ in range(_ROUNDS):
        tree = _grown(bins, rest, gains)
        trees.append(tree)
        rest = rest - tree(bins)
    return Model(frame.columns, base, binned, trees, dict(zip(frame.columns, gains.tolist(), strict=True)))


def _grown(bins: Bins, rest: columns.Floats, gains: columns.Floats) -> _Tree:
    inner = 2**_DEPTH - 1
    features, limits = np.full(inner, -1, dtype=np.int64), np.zeros(inner, dtype=np.int64)
    node, rows = np.zeros(len(rest), dtype=np.int64), np.arange(len(rest))
    for depth in range(_DEPTH):
        first, count = 2**depth - 1, 2**depth
        _split(bins, rest, node - first, count, features[first : first + count], limits[first : first + count], gains)
        feature = features[node]
        node = 2 * node + 1 + ((feature >= 0) & (bins[feature, rows] > limits[node]))
    place, leaves = node - inner, 2**_DEPTH
    sums, counts = np.bincount(place, rest, leaves), np.bincount(place, minlength=leaves)
    return _Tree(features, limits, _RATE * sums / (counts + _RIDGE))


def _split(
    bins: Bins, rest: columns.Floats, node: Bins, count: int, features: Bins, limits: Bins, gains: columns.Floats
) -> None:
    """The best split of each node of one level, written into ``features`` and ``limits``."""
    best = np.full(count, 1e-12)
    size = BINS + 1
    for feature, held in enumerate(bins):
        cell = node * size + held
        sums = np.bincount(cell, rest, count * size).reshape(count, size).cumsum(axis=1)
        rows = np.bincount(cell, minlength=count * size).reshape(count, size).cumsum(axis=1)
        total, whole = sums[:, -1:], rows[:, -1:]
        enough = (rows >= _LEAST_LEAF) & (whole - rows >= _LEAST_LEAF)
        gain = sums**2 / (rows + _RIDGE) + (total - sums) ** 2 / (whole - rows + _RIDGE) - total**2 / (whole + _RIDGE)
        gain = np.where(enough, gain, 0.0)
        place = gain.argmax(axis=1)
        found = gain[np.arange(count), place]
        better = found > best
        best[better], features[better], limits[better] = found[better], feature, place[better]
    for feature, gain in zip(features, best, strict=True):
        if feature >= 0:
            gains[feature] += gain
