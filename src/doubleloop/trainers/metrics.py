"""The metrics of AutoML jobs, under Azure ML's names and by its definitions.

Source: Azure Machine Learning, "Evaluate automated machine learning experiment results" (tables of classification and
regression metrics, and "Metric normalization"). Values are plain floats; what is undefined for the rows at hand is nan.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
from scipy import stats
from sklearn import metrics as sk

_AVERAGES = ("macro", "micro", "weighted")


def classification(
    labels: Any, probabilities: Any, classes: Any, weights: Any = None, positive: str | None = None
) -> dict[str, float]:
    """``labels``: (n,) true labels; ``probabilities``: (n, k), a column for each of ``classes``, sorted.

    One-versus-rest for AUC and average precision; classes of which there is no row, or that all rows have, are left
    out. ``norm_macro_recall`` is (R - c) / (1 - c) with R the macro recall and c = 1/k, ``weighted_accuracy`` counts a
    row by the number of rows of its class. With ``positive``, the ``_binary`` metrics of that label.
    """
    labels, probabilities = numpy.asarray(labels), numpy.asarray(probabilities, dtype=float)
    known = numpy.asarray(classes)
    found = known[probabilities.argmax(axis=1)]
    true = (labels[:, None] == known[None, :]).astype(int)
    result = {
        "accuracy": sk.accuracy_score(labels, found, sample_weight=weights),
        "balanced_accuracy": _recall(labels, found, weights),
        "log_loss": _log_loss(true, probabilities, weights),
        "matthews_correlation": sk.matthews_corrcoef(labels, found, sample_weight=weights),
        "weighted_accuracy": _weighted_accuracy(labels, found, weights),
    }
    chance = 1.0 / len(known)
    result["norm_macro_recall"] = (result["balanced_accuracy"] - chance) / (1 - chance)
    usable = [i for i in range(len(known)) if 0 < true[:, i].sum() < len(labels)]
    for average in _AVERAGES:
        options = {"average": average, "sample_weight": weights, "zero_division": 0}
        result["f1_score_" + average] = sk.f1_score(labels, found, **options)
        result["precision_score_" + average] = sk.precision_score(labels, found, **options)
        result["recall_score_" + average] = sk.recall_score(labels, found, **options)
        for name, score in (("AUC", sk.roc_auc_score), ("average_precision_score", sk.average_precision_score)):
            value = math.nan
            if usable:
                value = score(true[:, usable], probabilities[:, usable], average=average, sample_weight=weights)
            result["%s_%s" % (name, average)] = value
    if positive is not None:
        result.update(_binary(labels, found, probabilities, known, weights, positive))
    return {name: float(value) for name, value in result.items()}


def _recall(labels: Any, found: Any, weights: Any) -> float:
    """Macro recall over the classes that there are rows of."""
    return sk.recall_score(
        labels, found, labels=numpy.unique(labels), average="macro", sample_weight=weights, zero_division=0
    )


def _log_loss(true: Any, probabilities: Any, weights: Any) -> float:
    smallest = numpy.finfo(float).eps
    shares = numpy.clip(probabilities, smallest, 1 - smallest)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return float(numpy.average(-(true * numpy.log(shares)).sum(axis=1), weights=weights))


def _weighted_accuracy(labels: Any, found: Any, weights: Any) -> float:
    _, places, counts = numpy.unique(labels, return_inverse=True, return_counts=True)
    by_class = counts[places].astype(float)
    return float(numpy.average(labels == found, weights=by_class if weights is None else by_class * weights))


def _binary(labels: Any, found: Any, probabilities: Any, known: Any, weights: Any, positive: str) -> dict[str, float]:
    place = next((i for i, name in enumerate(known) if str(name) == str(positive)), None)
    if place is None:
        return {}
    true, said = (labels == known[place]).astype(int), (found == known[place]).astype(int)
    options = {"sample_weight": weights, "zero_division": 0}
    mixed = 0 < true.sum() < len(true)
    return {
        "AUC_binary": sk.roc_auc_score(true, probabilities[:, place], sample_weight=weights) if mixed else math.nan,
        "average_precision_score_binary": (
            sk.average_precision_score(true, probabilities[:, place], sample_weight=weights) if mixed else math.nan
        ),
        "f1_score_binary": sk.f1_score(true, said, **options),
        "precision_score_binary": sk.precision_score(true, said, **options),
        "recall_score_binary": sk.recall_score(true, said, **options),
    }


def regression(truth: Any, found: Any, low: float, high: float, weights: Any = None) -> dict[str, float]:
    """``truth``, ``found``: (n,). ``low`` and ``high`` are the range of the target, by which errors are normalized.

    ``mean_absolute_percentage_error`` is in per cent, over the rows whose value is not 0; ``r2_score`` is held within
    [-1, 1]; logarithmic errors need values that are not negative.
    """
    truth, found = numpy.asarray(truth, dtype=float), numpy.asarray(found, dtype=float)
    error = {
        "mean_absolute_error": sk.mean_absolute_error(truth, found, sample_weight=weights),
        "median_absolute_error": float(numpy.median(numpy.abs(truth - found))),
        "root_mean_squared_error": math.sqrt(sk.mean_squared_error(truth, found, sample_weight=weights)),
        "root_mean_squared_log_error": math.nan,
    }
    if (truth >= 0).all() and (found >= 0).all():
        logs = sk.mean_squared_error(numpy.log1p(truth), numpy.log1p(found), sample_weight=weights)
        error["root_mean_squared_log_error"] = math.sqrt(logs)
    span = high - low
    result = {**error, **{"normalized_" + name: value / span if span else math.nan for name, value in error.items()}}
    more = len(truth) > 1
    result["r2_score"] = max(-1.0, min(1.0, sk.r2_score(truth, found, sample_weight=weights))) if more else math.nan
    result["explained_variance"] = (
        sk.explained_variance_score(truth, found, sample_weight=weights) if more else math.nan
    )
    result["spearman_correlation"] = _spearman(truth, found)
    whole = truth != 0
    shares = numpy.abs((truth[whole] - found[whole]) / truth[whole])
    result["mean_absolute_percentage_error"] = 100 * float(shares.mean()) if whole.any() else math.nan
    return {name: float(value) for name, value in result.items()}


def _spearman(truth: Any, found: Any) -> float:
    if len(truth) < 2 or numpy.ptp(truth) == 0 or numpy.ptp(found) == 0:
        return math.nan
    return float(stats.spearmanr(truth, found)[0])


def forecasting(truth: Any, found: Any, series: Any, ranges: dict[Any, Any]) -> dict[str, float]:
    """As ``regression``, but normalized errors are those of each series by its own range, averaged over the series.

    ``series``: (n,) which series a row belongs to; ``ranges``: series → (least, greatest) target in training.
    """
    truth, found, series = numpy.asarray(truth, dtype=float), numpy.asarray(found, dtype=float), numpy.asarray(series)
    low, high = min(each[0] for each in ranges.values()), max(each[1] for each in ranges.values())
    result = regression(truth, found, low, high)
    each = [
        regression(truth[series == name], found[series == name], *ranges.get(name, (low, high)))
        for name in numpy.unique(series)
    ]
    for name in result:
        if name.startswith("normalized_"):
            result[name] = mean([one[name] for one in each])
    return result


def averaged(folds: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over the folds in which it is defined."""
    return {name: mean([fold[name] for fold in folds if name in fold]) for name in folds[0]}


def mean(values: list[float]) -> float:
    defined = [value for value in values if math.isfinite(value)]
    return float(numpy.mean(defined)) if defined else math.nan
