"""How good predictions were, once the truth is known. Formulas as scikit-learn has them, which referees the tests.

Truth and predictions are paired by position, shape ``(rows,)`` each. A pair with a missing side is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

AVERAGES = ("macro", "micro", "weighted", "binary")
_EPSILON = float(np.finfo(np.float64).eps)


class TooFewPairs(errors.InvalidInput):
    """There are not enough pairs of truth and prediction yet; more labels will help."""


def mae(truth: columns.Column, predicted: columns.Column) -> float:
    """Mean absolute error, in the unit of the target."""
    true, guess = _numbers(truth, predicted)
    return float(np.abs(guess - true).mean())


def mse(truth: columns.Column, predicted: columns.Column) -> float:
    """Mean squared error."""
    true, guess = _numbers(truth, predicted)
    return float(((guess - true) ** 2).mean())


def rmse(truth: columns.Column, predicted: columns.Column) -> float:
    """Root of the mean squared error, in the unit of the target."""
    return math.sqrt(mse(truth, predicted))


def r2(truth: columns.Column, predicted: columns.Column) -> float:
    """1 - squared errors / squared deviations of the truth. For a constant truth 1.0 when met exactly, else 0.0.

    Raises TooFewPairs for fewer than two pairs.
    """
    true, guess = _numbers(truth, predicted)
    if len(true) < 2:
        raise TooFewPairs("r2 needs at least two pairs", cure="Widen the data window.")
    wrong = float(((guess - true) ** 2).sum())
    spread = float(((true - true.mean()) ** 2).sum())
    if spread == 0.0:
        return 1.0 if wrong == 0.0 else 0.0
    return 1.0 - wrong / spread


def mape(truth: columns.Column, predicted: columns.Column) -> float:
    """Mean of ``|error| / |truth|`` (0.1 is 10 %); a truth of zero counts as machine epsilon, so it shows."""
    true, guess = _numbers(truth, predicted)
    return float((np.abs(guess - true) / np.maximum(np.abs(true), _EPSILON)).mean())


def bias(truth: columns.Column, predicted: columns.Column) -> float:
    """Mean of prediction minus truth: negative when the model says too little."""
    true, guess = _numbers(truth, predicted)
    return float((guess - true).mean())


def accuracy(truth: columns.Column, predicted: columns.Column) -> float:
    """Share of predictions that are right."""
    true, guess = _labels(truth, predicted)
    return float((true == guess).mean())


def precision(truth: columns.Column, predicted: columns.Column, average: str = "macro", positive: Any = 1) -> float:
    """Right among those predicted as a class. Azure's is the macro average; a class never predicted counts 0."""
    return _averaged(truth, predicted, average, positive, _precision)


def recall(truth: columns.Column, predicted: columns.Column, average: str = "macro", positive: Any = 1) -> float:
    """Found among those of a class; a class that never occurs counts 0."""
    return _averaged(truth, predicted, average, positive, _recall)


def f1(truth: columns.Column, predicted: columns.Column, average: str = "macro", positive: Any = 1) -> float:
    """Harmonic mean of precision and recall per class, then averaged."""
    return _averaged(truth, predicted, average, positive, _f1)


def log_loss(truth: columns.Column, scores: Any, classes: Sequence[Any] | None = None) -> float:
    """Mean of ``-ln`` of the probability given to what happened.

    ``scores`` has shape ``(rows,)`` (probability of the second class) or ``(rows, classes)``, its columns in the order
    of ``classes`` (default: the sorted labels of the truth); rows are scaled to sum to 1.
    Raises InvalidInput for probabilities outside 0..1 and for labels that are not among the classes.
    """
    which, probabilities, _ = _scored(truth, scores, classes)
    if (probabilities < 0).any() or (probabilities > 1).any():
        raise errors.InvalidInput("log loss needs probabilities from 0 to 1", cure="Pass predict_proba's output.")
    clipped = np.clip(probabilities, _EPSILON, 1 - _EPSILON)
    clipped = clipped / clipped.sum(axis=1, keepdims=True)
    return float(-np.log(clipped[np.arange(len(which)), which]).mean())


def roc_auc(truth: columns.Column, scores: Any, classes: Sequence[Any] | None = None) -> float:
    """Area under the ROC curve; for more than two classes the mean of each class against the rest.

    ``scores`` as in ``log_loss``, but any number that grows with the class will do for two classes.
    Raises TooFewPairs when the truth holds one class only.
    """
    which, points, count = _scored(truth, scores, classes)
    chosen = [1] if count == 2 else range(count)
    return float(np.mean([_area(which == index, points[:, index]) for index in chosen]))


def _area(positive: NDArray[np.bool_], scores: columns.Floats) -> float:
    """Share of (positive, negative) pairs in the right order, ties half: the Mann-Whitney form."""
    hits = int(positive.sum())
    misses = len(positive) - hits
    if not hits or not misses:
        raise TooFewPairs(
            "roc_auc needs rows of both sides of a class", cure="Widen the data window until every class occurs."
        )
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _precision(right: columns.Floats, predicted: columns.Floats, actual: columns.Floats) -> columns.Floats:
    return _ratio(right, predicted)


def _recall(right: columns.Floats, predicted: columns.Floats, actual: columns.Floats) -> columns.Floats:
    return _ratio(right, actual)


def _f1(right: columns.Floats, predicted: columns.Floats, actual: columns.Floats) -> columns.Floats:
    return _ratio(2 * right, predicted + actual)


def _ratio(part: columns.Floats, whole: columns.Floats) -> columns.Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _averaged(truth: columns.Column, predicted: columns.Column, average: str, positive: Any, score: Any) -> float:
    if average not in AVERAGES:
        raise errors.InvalidInput(f"unknown average '{average}'", cure=f"Use one of {', '.join(AVERAGES)}.")
    true, guess = _labels(truth, predicted)
    classes, place = np.unique(np.concatenate([true, guess]), return_inverse=True)
    true_at, guess_at = place[: len(true)], place[len(true) :]
    actual = np.bincount(true_at, minlength=len(classes)).astype(np.float64)
    chosen = np.bincount(guess_at, minlength=len(classes)).astype(np.float64)
    right = np.bincount(true_at[true_at == guess_at], minlength=len(classes)).astype(np.float64)
    if average == "micro":
        return float(score(*(np.array([part.sum()]) for part in (right, chosen, actual)))[0])
    per_class = score(right, chosen, actual)
    if average == "weighted":
        return float((per_class * actual).sum() / actual.sum())
    if average == "macro":
        return float(per_class.mean())
    return _of_positive(per_class, classes, positive)


def _of_positive(per_class: columns.Floats, classes: NDArray[Any], positive: Any) -> float:
    label = columns.labels([positive])[0]
    if len(classes) > 2 or label not in classes:
        raise errors.InvalidInput(
            f"average 'binary' needs two classes, one of them {positive!r}; there are {', '.join(classes[:10])}",
            cure="Name the positive class, or use the macro average.",
        )
    return float(per_class[list(classes).index(label)])


def _numbers(truth: columns.Column, predicted: columns.Column) -> tuple[columns.Floats, columns.Floats]:
    true, guess = _pairs(truth, predicted)
    return columns.numbers(true), columns.numbers(guess)


def _labels(truth: columns.Column, predicted: columns.Column) -> tuple[NDArray[Any], NDArray[Any]]:
    true, guess = _pairs(truth, predicted)
    if (score := _fraction(guess)) is not None and _fraction(true) is None:
        raise errors.InvalidInput(
            f"the predictions are scores, such as {score:g}, and no classes", cure="Let the model answer its classes."
        )
    return _text(true), _text(guess)


def _fraction(column: pl.Series) -> float | None:
    """The first number that is not whole."""
    if not column.dtype.is_float():
        return None
    found = column.filter(column.is_finite() & (column != column.floor()))
    return float(found[0]) if len(found) else None


def _text(column: pl.Series) -> NDArray[Any]:
    return np.asarray(columns.labels(column).to_list(), dtype=np.str_)


def _pairs(truth: columns.Column, predicted: columns.Column) -> tuple[pl.Series, pl.Series]:
    true, guess = columns.series(truth, "truth"), columns.series(predicted, "predicted")
    if len(true) != len(guess):
        raise errors.InvalidInput(
            f"{len(true)} true values but {len(guess)} predictions", cure="Join them by request id first."
        )
    both = columns.present_mask(true) & columns.present_mask(guess)
    if not both.any():
        raise TooFewPairs(
            "no row has both a true value and a prediction",
            cure="Wait for labels to arrive, or widen the data window.",
        )
    return true.filter(both), guess.filter(both)


def _scored(
    truth: columns.Column, scores: Any, classes: Sequence[Any] | None
) -> tuple[NDArray[np.int64], columns.Floats, int]:
    true = columns.series(truth, "truth")
    points = matrix(scores)
    if len(points) != len(true):
        raise errors.InvalidInput(
            f"{len(true)} true values but scores for {len(points)} rows", cure="Join them by request id first."
        )
    keep = columns.present_mask(true).to_numpy() & ~np.isnan(points).any(axis=1)
    held = true.filter(pl.Series(keep))
    text = _text(held)
    if not len(text):
        raise TooFewPairs("no row has both a true value and scores", cure="Wait for labels to arrive.")
    known = columns.labels(held.unique().sort() if classes is None else list(classes)).to_list()
    if len(known) != points.shape[1] or len(known) < 2:
        raise errors.InvalidInput(
            f"scores for {points.shape[1]} classes, but the classes are {', '.join(known)}",
            cure="Pass classes in the order of the score columns.",
        )
    index = {label: place for place, label in enumerate(known)}
    unknown = sorted(set(text) - index.keys())
    if unknown:
        raise errors.InvalidInput(
            f"true labels {', '.join(unknown)} are not among the classes", cure="Pass every class in classes."
        )
    return np.array([index[label] for label in text]), points[keep], len(known)


def matrix(scores: Any) -> columns.Floats:
    """Scores as ``(rows, classes)``; one column becomes two, the first what is left to 1."""
    try:
        if isinstance(scores, pl.Series) and scores.dtype.is_nested():
            scores = scores.to_list()
        points = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise errors.InvalidInput(
            f"scores are not numbers of one shape: {problem}", cure="Pass predict_proba's output."
        ) from problem
    if points.ndim == 2 and points.shape[1] == 1:
        points = points[:, 0]
    if points.ndim == 1:
        points = np.column_stack([1 - points, points])
    if points.ndim != 2:
        raise errors.InvalidInput(
            f"scores have {points.ndim} dimensions", cure="Pass shape (rows,) or (rows, classes)."
        )
    return points
