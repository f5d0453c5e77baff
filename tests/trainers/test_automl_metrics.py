"""The metrics of AutoML jobs against definitions written out another way."""

from __future__ import annotations

import math

import numpy
import pytest
from sklearn import metrics as sk

from doubleloop.trainers import metrics

LABELS = numpy.array(["a", "b", "b", "c", "c", "c", "a", "b"])
CLASSES = ["a", "b", "c"]


def probabilities(seed: int = 0) -> numpy.ndarray:
    found = numpy.random.default_rng(seed).random((len(LABELS), 3))
    return found / found.sum(axis=1, keepdims=True)


def test_classification_agrees_with_definitions_over_classes() -> None:
    shares = probabilities()
    found = metrics.classification(LABELS, shares, CLASSES)
    said = numpy.array(CLASSES)[shares.argmax(axis=1)]
    aucs = {name: sk.roc_auc_score(name == LABELS, shares[:, place]) for place, name in enumerate(CLASSES)}
    counts = {name: (name == LABELS).sum() for name in CLASSES}
    assert found["AUC_macro"] == pytest.approx(numpy.mean(list(aucs.values())))
    weighted = sum(aucs[name] * counts[name] for name in CLASSES) / len(LABELS)
    assert found["AUC_weighted"] == pytest.approx(weighted)
    assert found["accuracy"] == pytest.approx((said == LABELS).mean())
    recalls = [(said[name == LABELS] == name).mean() for name in CLASSES]
    assert found["balanced_accuracy"] == pytest.approx(numpy.mean(recalls))
    assert found["norm_macro_recall"] == pytest.approx((numpy.mean(recalls) - 1 / 3) / (2 / 3))
    places = [CLASSES.index(name) for name in LABELS]
    assert found["log_loss"] == pytest.approx(-numpy.log(shares[numpy.arange(8), places]).mean())
    sizes = numpy.array([counts[name] for name in LABELS])
    assert found["weighted_accuracy"] == pytest.approx((sizes * (said == LABELS)).sum() / sizes.sum())
    assert found["matthews_correlation"] == pytest.approx(sk.matthews_corrcoef(LABELS, said))


def test_two_classes_and_the_positive_label() -> None:
    truth = numpy.array([0, 1, 1, 0, 1])
    shares = numpy.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
    found = metrics.classification(truth, shares, [0, 1], positive="1")
    assert found["AUC_binary"] == pytest.approx(sk.roc_auc_score(truth, shares[:, 1]))
    assert found["AUC_weighted"] == pytest.approx(found["AUC_binary"])
    assert found["precision_score_binary"] == pytest.approx(2 / 3)
    assert found["recall_score_binary"] == pytest.approx(2 / 3)
    assert found["norm_macro_recall"] == pytest.approx((0.5 * (2 / 3 + 1 / 2) - 0.5) / 0.5)
    assert "AUC_binary" not in metrics.classification(truth, shares, [0, 1])


def test_weights_count_rows_as_often_as_they_say() -> None:
    weights = numpy.array([1, 2, 1, 3, 1, 1, 2, 1])
    twice = metrics.classification(LABELS.repeat(weights), probabilities().repeat(weights, axis=0), CLASSES)
    found = metrics.classification(LABELS, probabilities(), CLASSES, weights=weights.astype(float))
    same = set(found) - {"weighted_accuracy"}  # which counts rows itself
    assert {name: found[name] for name in same} == pytest.approx({name: twice[name] for name in same})


def test_a_class_of_which_there_is_no_row_is_left_out_and_one_class_alone_has_no_auc() -> None:
    few = LABELS != "c"
    found = metrics.classification(LABELS[few], probabilities()[few], CLASSES)
    assert math.isfinite(found["AUC_weighted"])
    alone = metrics.classification(LABELS[:1], probabilities()[:1], CLASSES)
    assert math.isnan(alone["AUC_weighted"]) and math.isfinite(alone["log_loss"])


def test_regression_normalizes_errors_by_the_range_of_the_target() -> None:
    truth, found = numpy.array([1.0, 2.0, 4.0, 0.0]), numpy.array([1.5, 2.0, 3.0, 1.0])
    told = metrics.regression(truth, found, 0.0, 10.0)
    assert told["root_mean_squared_error"] == pytest.approx(math.sqrt((0.25 + 0 + 1 + 1) / 4))
    assert told["normalized_root_mean_squared_error"] == pytest.approx(0.075)
    assert told["normalized_mean_absolute_error"] == pytest.approx(0.0625)
    assert told["mean_absolute_percentage_error"] == pytest.approx(100 * (0.5 + 0 + 0.25) / 3)
    assert told["spearman_correlation"] == pytest.approx(1.0)
    assert metrics.regression(truth, -100 * truth, 0.0, 10.0)["r2_score"] == -1.0
    assert math.isnan(metrics.regression(truth, -truth, 0, 1)["root_mean_squared_log_error"])
    assert math.isnan(metrics.regression(truth, numpy.ones(4), 0, 1)["spearman_correlation"])


def test_forecasts_are_normalized_series_by_series() -> None:
    truth, found = numpy.array([10.0, 20.0, 1.0, 2.0]), numpy.array([12.0, 18.0, 1.0, 3.0])
    told = metrics.forecasting(truth, found, ["x", "x", "y", "y"], {"x": (0.0, 100.0), "y": (0.0, 4.0)})
    assert told["normalized_mean_absolute_error"] == pytest.approx((2 / 100 + 0.5 / 4) / 2)
    assert told["mean_absolute_error"] == pytest.approx(1.25)


def test_folds_in_which_a_metric_is_undefined_do_not_count() -> None:
    assert metrics.averaged([{"m": 1.0}, {"m": math.nan}, {"m": 3.0}]) == {"m": 2.0}
    assert math.isnan(metrics.averaged([{"m": math.nan}])["m"])
