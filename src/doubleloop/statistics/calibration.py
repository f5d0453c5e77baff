"""Scores as probabilities: isotonic regression and Platt's logistic curve, fitted where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

_STEPS = 100


@dataclass(frozen=True)
class Isotonic:
    """A rising curve through ``scores`` (ascending) and ``shares``; straight between them, flat outside."""

    scores: columns.Floats
    shares: columns.Floats

    @staticmethod
    def fit(scores: columns.Floats, truth: NDArray[np.bool_]) -> Isotonic:
        """Least squares under rising order, by pooling neighbours (M. Ayer et al. 1955; B. Zadrozny, C. Elkan 2002)."""
        _both(truth)
        places, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
        sums = np.bincount(which, weights=truth.astype(np.float64))
        ends, means, weights = [0] * len(places), np.empty(len(places)), np.empty(len(places))
        top = 0
        for at in range(len(places)):
            mean, weight = sums[at] / counts[at], float(counts[at])
            while top and means[top - 1] >= mean:
                top -= 1
                mean = (mean * weight + means[top] * weights[top]) / (weight + weights[top])
                weight += weights[top]
            means[top], weights[top], ends[top] = mean, weight, at + 1
            top += 1
        lengths = np.diff(np.array([0, *ends[:top]]))
        return Isotonic(places, np.repeat(means[:top], lengths))

    def __call__(self, scores: columns.Floats) -> columns.Floats:
        return np.interp(scores, self.scores, self.shares)


@dataclass(frozen=True)
class Platt:
    """``1 / (1 + exp(slope * score + shift))``."""

    slope: float
    shift: float

    @staticmethod
    def fit(scores: columns.Floats, truth: NDArray[np.bool_]) -> Platt:
        """Most likely curve for Platt's smoothed targets, by damped Newton steps (J. Platt 1999; H.-T. Lin, C.-J. Lin,
        R. Weng 2007)."""
        hits, misses = _both(truth)
        wanted = np.where(truth, (hits + 1.0) / (hits + 2.0), 1.0 / (misses + 2.0))
        curve = np.array([0.0, np.log((misses + 1.0) / (hits + 1.0))])
        loss = _loss(curve, scores, wanted)
        for _ in range(_STEPS):
            share = _logistic(-(curve[0] * scores + curve[1]))
            apart, spread = wanted - share, share * (1 - share)
            slope = np.array([(scores * apart).sum(), apart.sum()])
            if np.abs(slope).max() < 1e-9 * len(scores):
                break
            bend = np.array(
                [[(scores * scores * spread).sum(), (scores * spread).sum()], [(scores * spread).sum(), spread.sum()]]
            )
            step = np.linalg.solve(bend + 1e-12 * np.eye(2), slope)
            size = 1.0
            while size > 1e-10 and _loss(curve - size * step, scores, wanted) > loss:
                size /= 2
            curve = curve - size * step
            loss = _loss(curve, scores, wanted)
        return Platt(float(curve[0]), float(curve[1]))

    def __call__(self, scores: columns.Floats) -> columns.Floats:
        return _logistic(-(self.slope * scores + self.shift))


def _both(truth: NDArray[np.bool_]) -> tuple[int, int]:
    hits = int(truth.sum())
    if not hits or hits == len(truth):
        raise errors.InvalidInput(
            "calibration needs rows of both sides of a class", cure="Take more of the reference data."
        )
    return hits, len(truth) - hits


def _logistic(values: columns.Floats) -> columns.Floats:
    return np.exp(-np.logaddexp(0.0, -values))


def _loss(curve: NDArray[np.float64], scores: columns.Floats, wanted: columns.Floats) -> float:
    raised = curve[0] * scores + curve[1]
    return float((np.logaddexp(0.0, raised) - (1 - wanted) * raised).sum())
