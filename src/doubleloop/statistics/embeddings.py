"""Whether two sets of vectors (embeddings of texts or images, or any rows of numbers) come from one source.

Matrices have shape ``(rows, dimensions)``. Random choices come from ``seed``, so the same data gives the same answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

Matrix = NDArray[np.float64]

MOST_ROWS = 500
PERMUTATIONS = 200
_FOLDS, _RIDGE = 5, 1e-3
_NEIGHBOURS = 5


@dataclass(frozen=True)
class Drift:
    """``value`` grows with drift; ``p_value`` is small when two such sets seldom come from one source."""

    value: float
    p_value: float
    reference_rows: int
    current_rows: int


def maximum_mean_discrepancy(
    reference: Any, current: Any, permutations: int = PERMUTATIONS, most: int = MOST_ROWS, seed: int = 0
) -> Drift:
    """Unbiased squared MMD with a Gaussian kernel whose width is the median distance of all pairs; the p-value is the
    share of random relabellings that are as far apart (A. Gretton et al. 2012, *A kernel two-sample test*, JMLR 13).

    At most ``most`` rows a side are drawn. Raises InvalidInput for fewer than two rows, or other dimensions.
    """
    one, two = _pair(reference, current, most, seed)
    both = np.concatenate([one, two])
    kernel = _kernel(squared_distances(both, both))
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.ones(len(one)), np.zeros(len(two))])
    shuffled = np.array([labels, *(generator.permutation(labels) for _ in range(permutations))]).T
    found = _discrepancies(kernel, shuffled, len(one), len(two))
    beyond = int((found[1:] >= found[0]).sum())
    return Drift(float(found[0]), (beyond + 1) / (permutations + 1), len(one), len(two))


def classifier_two_sample_test(reference: Any, current: Any, most: int = 5_000, seed: int = 0) -> Drift:
    """How well a linear classifier tells the sides apart on rows it has not seen: ``value`` is its area under the ROC
    curve over five folds (0.5: not at all), the p-value that of Mann and Whitney's test of its scores (D. Lopez-Paz,
    M. Oquab 2017, *Revisiting classifier two-sample tests*). It sees differences of means along any direction.

    Raises InvalidInput for fewer than ten rows, or other dimensions.
    """
    one, two = _pair(reference, current, most, seed)
    if min(len(one), len(two)) < 2 * _FOLDS:
        raise errors.InvalidInput(f"a side of {min(len(one), len(two))} rows is too small to learn from")
    both, labels = np.concatenate([one, two]), np.concatenate([np.zeros(len(one)), np.ones(len(two))])
    fold = np.concatenate([np.random.default_rng(seed).permutation(len(side)) % _FOLDS for side in (one, two)])
    areas, weights, variances = [], [], []
    for number in range(_FOLDS):
        learnt, kept = fold != number, fold == number
        scores = both[kept] @ _direction(both[learnt], labels[learnt])
        hits = labels[kept] == 1
        areas.append(_area(scores, hits))
        count, other = int(hits.sum()), int((~hits).sum())
        weights.append(count * other)
        variances.append((count + other + 1) / (12 * count * other))
    share = np.array(weights) / sum(weights)
    area = float(np.dot(share, areas))
    spread = float(np.sqrt(np.dot(share**2, variances)))
    return Drift(area, _upper_tail((area - 0.5) / spread), len(one), len(two))


def farthest(
    reference: Any, current: Any, count: int = 10, most: int = 2_000, seed: int = 0
) -> list[tuple[int, float]]:
    """The rows of ``current`` that lie farthest from the reference, farthest first: (row number, mean distance to its
    five nearest reference rows). Ties in the rows' order. Of a large reference ``most`` rows are drawn."""
    known, rows = _matrix(reference, "reference"), _matrix(current, "current")
    _same_width(known, rows)
    known = _drawn(known, most, seed)
    nearest = min(_NEIGHBOURS, len(known))
    found = np.empty(len(rows))
    for start in range(0, len(rows), 1_000):
        squared = squared_distances(rows[start : start + 1_000], known)
        found[start : start + 1_000] = np.sqrt(np.partition(squared, nearest - 1, axis=1)[:, :nearest]).mean(axis=1)
    order = np.argsort(-found, kind="stable")[:count]
    return [(int(at), float(found[at])) for at in order]


def squared_distances(one: Matrix, two: Matrix) -> Matrix:
    """Shape ``(len(one), len(two))``."""
    middle = two.mean(axis=0)
    one, two = one - middle, two - middle  # far from zero, the squares would swallow the differences
    found = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None, :] - 2 * one @ two.T
    return np.maximum(found, 0.0)


def _kernel(squared: Matrix) -> Matrix:
    apart = squared[np.triu_indices(len(squared), 1)]
    width = float(np.median(apart))
    if width <= 0:
        positive = apart[apart > 0]
        width = float(positive.mean()) if len(positive) else 1.0
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _discrepancies(kernel: Matrix, labels: Matrix, one: int, two: int) -> columns.Floats:
    """For each column of ``labels`` (1 for the first set, 0 for the second)."""
    to_first = kernel @ labels
    total = float(kernel.sum())
    within_first = (labels * to_first).sum(axis=0)
    across = to_first.sum(axis=0) - within_first
    within_second = total - within_first - 2 * across
    return within_first / (one * (one - 1)) + within_second / (two * (two - 1)) - 2 * across / (one * two)


def _direction(rows: Matrix, labels: columns.Floats) -> columns.Floats:
    """Fisher's linear discriminant, with a ridge on the scaled covariance."""
    means = [rows[labels == label].mean(axis=0) for label in (0, 1)]
    apart = rows - np.where(labels[:, None] == 1, means[1], means[0])
    scale = np.sqrt((apart**2).mean(axis=0))
    scale[scale == 0] = 1.0
    scaled = apart / scale
    spread = scaled.T @ scaled / len(rows) + _RIDGE * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(spread, (means[1] - means[0]) / scale) / scale)


def _area(scores: columns.Floats, hits: NDArray[np.bool_]) -> float:
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    one, two = int(hits.sum()), int((~hits).sum())
    return float((ranks[hits].sum() - one * (one + 1) / 2) / (one * two))


def _upper_tail(score: float) -> float:
    return 0.5 * math.erfc(score / 2**0.5)


def _pair(reference: Any, current: Any, most: int, seed: int) -> tuple[Matrix, Matrix]:
    one, two = _matrix(reference, "reference"), _matrix(current, "current")
    _same_width(one, two)
    for side, rows in (("reference", one), ("current", two)):
        if len(rows) < 2:
            raise errors.InvalidInput(f"the {side} set holds {len(rows)} vectors, two are needed")
    return _drawn(one, most, seed), _drawn(two, most, seed + 1)


def _drawn(rows: Matrix, most: int, seed: int) -> Matrix:
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def _same_width(one: Matrix, two: Matrix) -> None:
    if one.shape[1] != two.shape[1]:
        raise errors.InvalidInput(f"vectors of {one.shape[1]} and of {two.shape[1]} dimensions cannot be compared")


def _matrix(rows: Any, side: str) -> Matrix:
    try:
        found = np.asarray(rows.to_numpy() if hasattr(rows, "to_numpy") else rows, dtype=np.float64)
    except (TypeError, ValueError):
        try:
            found = np.asarray([list(row) for row in rows], dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise errors.InvalidInput(f"the {side} set is not vectors of one length: {problem}") from problem
    if found.ndim == 1 and len(found) and found.dtype == np.float64:
        found = found[:, None]
    if found.ndim != 2 or not np.isfinite(found).all():
        raise errors.InvalidInput(
            f"the {side} set is not a matrix of finite numbers", cure="Give shape (rows, dimensions)."
        )
    return found
