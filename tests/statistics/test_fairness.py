"""Groups are compared as fairlearn compares them."""

from __future__ import annotations

import fairlearn.metrics as referee
import numpy as np
import pytest

from doubleloop.base import errors
from doubleloop.statistics import fairness

GENERATOR = np.random.default_rng(4)
GROUPS = GENERATOR.choice(["a", "b", "c"], 900, p=[0.5, 0.3, 0.2])
TRUTH = (GENERATOR.random(900) < 0.4).astype(int)
PREDICTED = (GENERATOR.random(900) < np.where(GROUPS == "c", 0.3, 0.5) + 0.2 * TRUTH).astype(int)


def test_rates_and_odds_are_fairlearns():
    found = fairness.of_classes(GROUPS, PREDICTED, TRUTH).values
    about = {"y_true": TRUTH, "y_pred": PREDICTED, "sensitive_features": GROUPS}
    assert found["selection_rate_difference"] == pytest.approx(referee.demographic_parity_difference(**about))
    assert found["selection_rate_ratio"] == pytest.approx(referee.demographic_parity_ratio(**about))
    assert found["equalized_odds_difference"] == pytest.approx(referee.equalized_odds_difference(**about))
    from sklearn.metrics import accuracy_score

    right = referee.MetricFrame(metrics=accuracy_score, **about)
    assert found["accuracy_difference"] == pytest.approx(right.difference())


def test_errors_of_groups_are_fairlearns():
    from sklearn.metrics import mean_absolute_error

    truth = GENERATOR.normal(size=900)
    said = truth + GENERATOR.normal(size=900) * np.where(GROUPS == "a", 1, 2)
    found = fairness.of_numbers(GROUPS, said, truth)
    frame = referee.MetricFrame(metrics=mean_absolute_error, y_true=truth, y_pred=said, sensitive_features=GROUPS)
    assert found.values["mae_difference"] == pytest.approx(frame.difference())
    assert found.values["mae_ratio"] == pytest.approx(frame.ratio())
    assert found.of_groups["mae"] == pytest.approx(frame.by_group.to_dict())


def test_small_groups_and_rows_without_truth_or_group():
    groups = [*GROUPS[:300].tolist(), *["rare"] * 5, *[None] * 60]
    said = [*PREDICTED[:300].tolist(), *[1] * 65]
    truth = [*TRUTH[:250].tolist(), *[None] * 115]
    found = fairness.of_classes(groups, said, truth)
    assert found.sizes["rare"] == 5
    assert found.of_groups["selection_rate"].keys() == {"a", "b", "c", "(missing)"}
    assert found.of_groups["selection_rate"]["(missing)"] == 1.0
    assert "equalized_odds_difference" not in found.values, "nobody without a group has a truth"
    assert fairness.of_classes(["a"] * 90, [1] * 90).reason == "fewer than two groups have 30 rows"
    with pytest.raises(errors.InvalidInput, match="90 rows of groups"):
        fairness.of_classes(["a"] * 90, [1] * 91)


def test_labels_of_any_kind_may_be_the_positive_one():
    words = np.where(PREDICTED == 1, "yes", "no")
    one = fairness.of_classes(GROUPS, words, positive="yes").values
    assert one == fairness.of_classes(GROUPS, PREDICTED.astype(float), positive=1).values
