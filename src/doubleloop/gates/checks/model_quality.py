"""model_quality: the candidate against fixed limits, and against the champion, on one pinned hold-out.

What is judged was measured by the system: both models scored on the same rows in their own environments. A hold-out
that either model was trained on decides nothing, so it fails the check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from doubleloop.base import errors, verdicts
from doubleloop.frames import pictures
from doubleloop.statistics import columns, language, masks, performance

_METRICS: dict[str, tuple[Callable[..., float], bool]] = {
    "accuracy": (performance.accuracy, True),
    "precision": (performance.precision, True),
    "recall": (performance.recall, True),
    "f1": (performance.f1, True),
    "r2": (performance.r2, True),
    "rmse": (performance.rmse, False),
    "mse": (performance.mse, False),
    "mae": (performance.mae, False),
    "mape": (performance.mape, False),
    "roc_auc": (performance.roc_auc, True),
    "log_loss": (performance.log_loss, False),
    **{name: (getattr(language, name), True) for name in language.METRICS},
    **{name: (metric, True) for name, metric in masks.METRICS.items()},
}
# These read the model's scores: a probability a row, or one for each class.
_OF_SCORES = ("log_loss", "roc_auc")
_NAMES = {
    "root_mean_squared_error": "rmse", "mean_squared_error": "mse", "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape", "r2_score": "r2", "f1_score": "f1", "accuracy_score": "accuracy",
    "precision_score": "precision", "recall_score": "recall",
    "rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougel",
    "auc": "roc_auc", "roc_auc_score": "roc_auc", "logloss": "log_loss",
}  # fmt: skip
# Sums of floats differ in the last digits from machine to machine; that much is never "worse".
ROUNDING = 1e-9
METRICS = tuple(sorted(_METRICS))


def metric_name(name: str) -> str:
    """The short name of a metric (``RMSE``, ``root_mean_squared_error`` → ``rmse``). Raises InvalidInput."""
    plain = name.strip().lower().replace("-", "_")
    plain = _NAMES.get(plain, plain)
    if plain not in _METRICS:
        raise errors.InvalidInput(
            f"'{name}' is not a metric of model_quality", cure=f"Use one of {', '.join(METRICS)}."
        )
    return plain


def greater_is_better(name: str) -> bool:
    return _METRICS[metric_name(name)][1]


def score(name: str, truth: columns.Column, predicted: columns.Column) -> float:
    """The metric over all rows. Raises InvalidInput when a prediction is missing: leaving hard rows out is no skill."""
    metric = metric_name(name)
    if metric in language.METRICS:
        return _of_texts(metric, truth, predicted)
    if metric in masks.METRICS:
        return _of_masks(metric, truth, predicted)
    wanted = columns.present_mask(columns.series(truth, "truth"))
    said = columns.series(predicted, "predicted")
    given = columns.present_mask(said)
    if said.dtype.is_nested():
        if metric not in _OF_SCORES:
            raise errors.InvalidInput(
                f"the model answers with several values a row, and {metric} takes one",
                cure="Serve the model's classes or values (predict), or use roc_auc or log_loss.",
            )
        given = pl.Series([row is not None and columns.missing(pl.Series(row)) == 0 for row in said], dtype=pl.Boolean)
    missing = int((wanted & ~given).sum())
    if missing:
        raise errors.InvalidInput(f"the model gave no prediction for {missing} of {len(wanted)} rows")
    return float(_METRICS[metric][0](truth, predicted))


def _of_masks(metric: str, truth: columns.Column, predicted: columns.Column) -> float:
    """PNG of class numbers, as bytes or base64."""
    found: list[list[Any]] = []
    for what, values in (("true mask", truth), ("predicted mask", predicted)):
        found.append([])
        for row, value in enumerate(values):
            if value is None:
                raise errors.InvalidInput(f"row {row + 1}: there is no {what}")
            try:
                found[-1].append(pictures.mask(value))
            except errors.DoubleloopError as error:
                raise errors.InvalidInput(f"row {row + 1}: the {what}: {error.what}", cure=error.cure) from None
    return float(_METRICS[metric][0](*found))


def _of_texts(metric: str, truth: columns.Column, predicted: columns.Column) -> float:
    wanted, said = list(truth), list(predicted)
    pairs = [(one, two) for one, two in zip(wanted, said, strict=True) if one is not None]
    missing = sum(two is None for _, two in pairs)
    if missing or not pairs:
        raise errors.InvalidInput(f"the model gave no prediction for {missing} of {len(pairs)} rows")
    return float(_METRICS[metric][0](*zip(*pairs, strict=True)))


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: metric, at_most, at_least, champion {tolerance}. ``measurements``: holdout {id, digest, rows},
    candidate and champion (or None), each {model, value, training_data: [{id, digest}], error}."""
    holdout, candidate = measurements["holdout"], measurements["candidate"]
    champion = measurements.get("champion") if check.get("champion") is not None else None
    against = [
        f"{who} {each['model']} was trained on the hold-out {holdout['id']} ({seen}), so its score there says nothing; "
        "name a hold-out that neither model has seen"
        for who, each in (("the candidate", candidate), ("the champion", champion))
        if each and (seen := _seen(holdout, each))
    ]
    for who, each in (("the candidate", candidate), ("the champion", champion)):
        if each and each.get("error"):
            against.append(f"{who} {each['model']} could not be scored: {each['error']}")
    if against:
        return verdicts.failed(*against)
    metric = metric_name(check["metric"])
    against, notes = _absolute(check, metric, candidate["value"])
    if check.get("champion") is not None:
        said, wrong = _relative(metric, candidate, champion, float(check["champion"].get("tolerance") or 0.0))
        (against if wrong else notes).append(said)
    if not candidate.get("training_data"):
        notes.append("no training data is on record for the candidate, so only its author knows what it has seen")
    return verdicts.failed(*against) if against else verdicts.passed(*notes)


def _seen(holdout: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """How the hold-out stands among the data that led to the model: by name, or by content under another name."""
    for data in model.get("training_data") or []:
        if data["id"] == holdout["id"]:
            return "it is in its lineage"
        if holdout.get("digest") and data.get("digest") == holdout["digest"]:
            return f"{data['id']} in its lineage has the same content"
    return ""


def _absolute(check: Mapping[str, Any], metric: str, value: float | None) -> tuple[list[str], list[str]]:
    if value is None or not math.isfinite(value):
        return [f"{metric} of the candidate is not a number"], []
    against: list[str] = []
    notes: list[str] = []
    for side, breaks in (("at_most", lambda limit: value > limit), ("at_least", lambda limit: value < limit)):
        limit = check.get(side)
        if limit is not None:
            said = f"{metric} {_short(value)}, must be {side.replace('_', ' ')} {_short(limit)}"
            (against if breaks(limit) else notes).append(said)
    return against, notes


def _relative(
    metric: str, candidate: Mapping[str, Any], champion: Mapping[str, Any] | None, tolerance: float
) -> tuple[str, bool]:
    """What is said of candidate and champion, and whether it speaks against. No worse than ``tolerance`` × |champion|
    passes; with tolerance 0 equal passes."""
    if champion is None:
        return "there is no champion yet to compare with", False
    ours, theirs = candidate["value"], champion["value"]
    if theirs is None or not math.isfinite(theirs):
        return f"{metric} of the champion {champion['model']} is not a number", True
    if ours is None or not math.isfinite(ours):
        return f"{metric} of the candidate is not a number, the champion's is {_short(theirs)}", True
    loss = theirs - ours if greater_is_better(metric) else ours - theirs
    worse = loss > (tolerance + ROUNDING) * abs(theirs)
    word = "worse than" if loss > 0 else "better than" if loss < 0 else "equal to"
    by = f" by {abs(loss) / abs(theirs):.2%}" if theirs and loss else ""
    allowed = f" (tolerance {tolerance:.2%})" if loss > 0 else ""
    return (
        f"{metric} {_short(ours)} is {word} the champion {champion['model']} with {_short(theirs)}{by}{allowed}",
        worse,
    )


def _short(value: float) -> str:
    return f"{value:.6g}"
