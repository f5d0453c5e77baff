"""Model performance equals scikit-learn's, on random data and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as referee

from doubleloop.base import errors
from doubleloop.statistics import performance


@pytest.mark.parametrize("seed", range(5))
def test_regression_equals_sklearn(seed):
    generator = np.random.default_rng(seed)
    truth = generator.normal(10, 5, 200) * (generator.random(200) > 0.05)
    guess = truth + generator.normal(1, 2, 200)
    assert performance.mae(truth, guess) == pytest.approx(referee.mean_absolute_error(truth, guess))
    assert performance.mse(truth, guess) == pytest.approx(referee.mean_squared_error(truth, guess))
    assert performance.rmse(truth, guess) == pytest.approx(referee.root_mean_squared_error(truth, guess))
    assert performance.r2(truth, guess) == pytest.approx(referee.r2_score(truth, guess))
    assert performance.mape(truth, guess) == pytest.approx(referee.mean_absolute_percentage_error(truth, guess))
    assert performance.bias(truth, guess) == pytest.approx(float(np.mean(guess - truth)))


@pytest.mark.parametrize(("truth", "guess"), [([3, 3, 3], [3, 3, 3]), ([3, 3, 3], [3, 3, 4])])
def test_r2_of_a_constant_truth_equals_sklearn(truth, guess):
    assert performance.r2(truth, guess) == referee.r2_score(truth, guess)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c", "never predicted"], [1, 2, 30]])
def test_classification_equals_sklearn(labels, average):
    generator = np.random.default_rng(len(labels))
    truth = generator.choice(labels, 300)
    guess = np.where(generator.random(300) < 0.7, truth, generator.choice(labels[:2], 300))
    options = {"average": average, "zero_division": 0}
    assert performance.accuracy(truth, guess) == pytest.approx(referee.accuracy_score(truth, guess))
    assert performance.precision(truth, guess, average) == pytest.approx(
        referee.precision_score(truth, guess, **options)
    )
    assert performance.recall(truth, guess, average) == pytest.approx(referee.recall_score(truth, guess, **options))
    assert performance.f1(truth, guess, average) == pytest.approx(referee.f1_score(truth, guess, **options))


@pytest.mark.parametrize("positive", [0, 1])
def test_binary_average_is_about_the_positive_class(positive):
    truth, guess = [0, 1, 1, 0, 1, 1], [0, 1, 0, 1, 1, 1]
    options = {"pos_label": positive}
    assert performance.precision(truth, guess, "binary", positive) == pytest.approx(
        referee.precision_score(truth, guess, **options)
    )
    assert performance.recall(truth, guess, "binary", positive) == pytest.approx(
        referee.recall_score(truth, guess, **options)
    )
    assert performance.f1(truth, guess, "binary", positive) == pytest.approx(referee.f1_score(truth, guess, **options))


def test_binary_average_needs_two_classes_and_a_known_positive():
    with pytest.raises(errors.InvalidInput, match="needs two classes"):
        performance.f1(["a", "b", "c"], ["a", "b", "c"], "binary", "a")
    with pytest.raises(errors.InvalidInput, match="needs two classes"):
        performance.f1([0, 1], [0, 1], "binary", "yes")
    with pytest.raises(errors.InvalidInput, match="unknown average 'mean'"):
        performance.f1([0, 1], [0, 1], "mean")


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_scores_equal_sklearn_for_many_classes(classes):
    generator = np.random.default_rng(classes)
    truth = np.concatenate([np.arange(classes), generator.integers(0, classes, 200)])
    scores = generator.random((len(truth), classes)).round(2) + 1e-3 + 0.5 * np.eye(classes)[truth]
    scores = scores / scores.sum(axis=1, keepdims=True)
    assert performance.log_loss(truth, scores) == pytest.approx(referee.log_loss(truth, scores))
    expected = (
        referee.roc_auc_score(truth, scores[:, 1])
        if classes == 2
        else referee.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    )
    assert performance.roc_auc(truth, scores) == pytest.approx(expected)


def test_one_column_of_scores_is_the_second_class():
    truth, scores = [0, 1, 1, 0, 1], [0.1, 0.9, 0.4, 0.4, 0.0]
    assert performance.log_loss(truth, scores) == pytest.approx(referee.log_loss(truth, scores))
    assert performance.roc_auc(truth, scores) == pytest.approx(referee.roc_auc_score(truth, scores))
    named = ["no", "yes", "yes", "no", "yes"]
    assert performance.roc_auc(named, scores, ["no", "yes"]) == performance.roc_auc(truth, scores)


def test_roc_auc_takes_any_score_that_grows():
    truth, scores = [0, 1, 1, 0, 1, 0], [-3.0, 8.0, 0.5, 0.5, 2.0, 1.0]
    assert performance.roc_auc(truth, scores) == pytest.approx(referee.roc_auc_score(truth, scores))


def test_a_class_that_has_not_occurred_yet_is_no_error_for_log_loss():
    scores = [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]]
    assert performance.log_loss(["a", "b"], scores, ["a", "b", "c"]) == pytest.approx(
        referee.log_loss(["a", "b"], scores, labels=["a", "b", "c"])
    )
    with pytest.raises(performance.TooFewPairs, match="both sides of a class"):
        performance.roc_auc(["a", "a"], [0.1, 0.2], ["a", "b"])


@pytest.mark.parametrize(
    ("truth", "scores", "classes", "message"),
    [
        ([0, 1], [0.5, 1.5], None, "probabilities from 0 to 1"),
        ([0, 1], [0.5], None, "2 true values but scores for 1 rows"),
        (["a", "z"], [0.5, 0.5], ["a", "b"], "'?z'? are not among|z are not among"),
        ([0, 1], [[0.1, 0.2, 0.7]] * 2, None, "scores for 3 classes"),
        ([0, 1], [[0.1], [0.2, 0.7]], None, "not numbers of one shape"),
        ([0, 1], np.zeros((2, 2, 2)), None, "3 dimensions"),
        ([None, None], [0.1, 0.2], None, "no row has both"),
    ],
)
def test_scores_that_cannot_be_right_say_why(truth, scores, classes, message):
    with pytest.raises(errors.InvalidInput, match=message):
        performance.log_loss(truth, scores, classes)


def test_pairs_with_a_missing_side_are_left_out():
    assert performance.mae([1.0, None, 3.0, 4.0], [2.0, 9.0, float("nan"), 6.0]) == 1.5
    assert performance.accuracy(["a", None, "b"], ["a", "x", "b"]) == 1.0


def test_no_pairs_yet_is_its_own_error_so_that_callers_can_wait():
    with pytest.raises(performance.TooFewPairs):
        performance.mae([None], [1.0])
    with pytest.raises(performance.TooFewPairs):
        performance.r2([1.0], [1.0])


def test_lengths_must_agree():
    with pytest.raises(errors.InvalidInput, match="2 true values but 1 predictions"):
        performance.mae([1, 2], [1])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=50))
def test_roc_auc_equals_sklearn_with_ties(rows):
    truth, scores = [int(label) for label, _ in rows], [score / 5 for _, score in rows]
    if len(set(truth)) == 2:
        assert performance.roc_auc(truth, scores) == pytest.approx(referee.roc_auc_score(truth, scores))
        assert math.isclose(performance.log_loss(truth, scores), referee.log_loss(truth, scores))
