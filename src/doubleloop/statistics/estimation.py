"""How good predictions probably are while nobody knows the truth yet.

* **Classification**, confidence-based (CBPE): a calibrated probability says how often a row's prediction is right, so
  the expected confusion matrix is a sum of probabilities, and metrics are read off it (J. Kivimäki et al. 2025,
  *Confidence-based estimators for predictive performance in model monitoring*, JAIR 82; as NannyML computes them).
* **Regression**, direct loss (DLE): a small model learns on the reference how wrong predictions are for which inputs,
  and says so for new ones (NannyML's documentation, *Direct loss estimation*).

Both see drift of inputs, and neither sees a changed relation between inputs and truth (concept drift).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import boosting, calibration, columns, performance

CLASSIFICATION = ("accuracy", "precision", "recall", "f1", "roc_auc")
REGRESSION = ("mae", "mse", "rmse")
# A curve of steps needs many rows to be better than one of two numbers (A. Niculescu-Mizil, R. Caruana 2005).
ISOTONIC_ROWS = 1000

Curve = Callable[[columns.Floats], columns.Floats]


@dataclass(frozen=True)
class Confidence:
    """Fitted on reference rows whose truth is known. ``classes`` in the order of the columns of probabilities."""

    classes: tuple[str, ...]
    curves: tuple[Curve | None, ...]  # None: the score is a probability as it is

    def estimate(self, predicted: columns.Column, scores: columns.Column | columns.Floats) -> dict[str, float]:
        """Estimated ``CLASSIFICATION`` metrics of rows without truth: ``predicted`` labels, shape ``(rows,)``, and the
        model's ``scores``, shape ``(rows, classes)`` or ``(rows,)`` (of the second class). For two classes precision,
        recall and f1 are those of the second, for more their plain mean (macro); roc_auc is one against the rest.

        A metric that nothing says anything about (no row is predicted as the class) is left out. Raises InvalidInput
        for labels that are not among the classes, and for no rows.
        """
        chosen, raw = _rows(predicted, scores, self.classes)
        shares = _calibrated(raw, self.curves)
        expected = np.zeros((len(self.classes), len(self.classes)))  # predicted, true
        np.add.at(expected, chosen, shares)
        found = {"accuracy": float(np.trace(expected) / len(chosen))}
        binary = len(self.classes) == 2
        wanted = [1] if binary else range(len(self.classes))
        right, called, actual = np.diag(expected), expected.sum(axis=1), expected.sum(axis=0)
        for name, above, below in (
            ("precision", right, called), ("recall", right, actual), ("f1", 2 * right, called + actual),
        ):  # fmt: skip
            parts = [above[at] / below[at] if below[at] > 0 else 0.0 for at in wanted]
            if not binary or below[1] > 0:
                found[name] = float(np.mean(parts))
        areas = [_area(raw[:, at], shares[:, at]) for at in wanted]
        if all(math.isfinite(area) for area in areas):
            found["roc_auc"] = float(np.mean(areas))
        return found


def confidence(
    truth: columns.Column, scores: columns.Column | columns.Floats, classes: Sequence[str] | None = None
) -> Confidence:
    """Fits the curves, class by class against the rest: isotonic from 1,000 rows on, Platt's below. ``classes`` default
    to the sorted labels of the truth.

    Raises InvalidInput for no rows, fewer than two classes, or scores of another number of classes.
    """
    found = columns.as_labels(columns.series(truth, "truth"))
    known = tuple(classes) if classes is not None else tuple(sorted(found.drop_nulls().unique().to_list()))
    if len(known) < 2:
        raise errors.InvalidInput(f"the reference holds the classes {', '.join(known) or 'none'}; two are needed")
    which, raw = _rows(found, scores, known)
    return Confidence(known, tuple(_curve(raw[:, at], which == at) for at in range(len(known))))


def _curve(scores: columns.Floats, truth: NDArray[np.bool_]) -> Curve:
    fit = calibration.Isotonic.fit if len(truth) >= ISOTONIC_ROWS else calibration.Platt.fit
    return fit(scores, truth)


def _calibrated(raw: columns.Floats, curves: Sequence[Curve | None]) -> columns.Floats:
    shares = np.column_stack([raw[:, at] if curve is None else curve(raw[:, at]) for at, curve in enumerate(curves)])
    if shares.shape[1] == 2:  # the second class decides, as its score does
        return np.column_stack([1 - shares[:, 1], shares[:, 1]])
    total = shares.sum(axis=1, keepdims=True)
    even = np.full_like(shares, 1 / shares.shape[1])
    return np.divide(shares, total, out=even, where=total > 0)


def _rows(
    labels: columns.Column, scores: columns.Column | columns.Floats, classes: Sequence[str]
) -> tuple[NDArray[np.int64], columns.Floats]:
    """The class of each row and its scores, of the rows where both are there."""
    text, raw = columns.as_labels(columns.series(labels)), performance.matrix(scores)
    if len(text) != len(raw):
        raise errors.InvalidInput(f"{len(text)} labels but scores for {len(raw)} rows")
    if raw.shape[1] != len(classes):
        raise errors.InvalidInput(
            f"scores for {raw.shape[1]} classes, but the classes are {', '.join(classes)}",
            cure="Give the probability of every class, in the classes' order.",
        )
    unknown = sorted(set(text.drop_nulls().unique().to_list()) - set(classes))
    if unknown:
        raise errors.InvalidInput(f"the labels {', '.join(unknown[:5])} are not among the classes {', '.join(classes)}")
    index = {label: at for at, label in enumerate(classes)}
    which = text.replace_strict(index, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    held = (which >= 0) & ~np.isnan(raw).any(axis=1)
    if not held.any():
        raise errors.InvalidInput("no row has both a label and scores", cure="Widen the data window.")
    return which[held], raw[held]


def _area(scores: columns.Floats, shares: columns.Floats) -> float:
    """Expected area under the ROC curve: rows by falling score, each a hit by its share, ties as one step."""
    _, group = np.unique(-scores, return_inverse=True)
    hits = np.bincount(group, weights=shares)
    misses = np.bincount(group, weights=1 - shares)
    if hits.sum() <= 0 or misses.sum() <= 0:
        return math.nan
    above = np.cumsum(hits) - hits / 2
    return float((misses * above).sum() / (hits.sum() * misses.sum()))


@dataclass(frozen=True)
class Losses:
    """Models of the absolute and of the squared error, fitted on reference rows."""

    absolute: boosting.Model
    squared: boosting.Model

    def estimate(self, features: columns.Table) -> dict[str, float]:
        """Estimated ``REGRESSION`` metrics of rows without truth, ``features`` as fitted. Raises InvalidInput without
        rows."""
        frame = columns.table(features)
        if not frame.height:
            raise errors.InvalidInput("there is no row to estimate a loss for", cure="Widen the data window.")
        mae = float(np.maximum(self.absolute.predict(frame), 0).mean())
        mse = float(np.maximum(self.squared.predict(frame), 0).mean())
        return {"mae": mae, "mse": mse, "rmse": math.sqrt(mse)}


def losses(features: columns.Table, truth: columns.Column, predicted: columns.Column) -> Losses:
    """Learns from reference rows how wrong the predictions are. ``features`` should hold the prediction too.

    Raises InvalidInput for too few rows with truth and prediction.
    """
    wrong = np.abs(columns.with_holes(predicted) - columns.with_holes(truth))
    frame = columns.table(features)
    return Losses(boosting.fit(frame, wrong), boosting.fit(frame, wrong**2))
