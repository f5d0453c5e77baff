"""evaluate, breached and judge: one metric, one answer, never a silent pass."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import canonical, errors, verdicts
from doubleloop.statistics import drift, metrics, movements, profiles, signals
from doubleloop.statistics.schema import Kind

GENERATOR = np.random.default_rng(7)
BEFORE = pl.DataFrame(
    {
        "temperature": GENERATOR.normal(15, 5, 600),
        "season": GENERATOR.choice(["spring", "summer", "winter"], 600),
        "humidity": GENERATOR.random(600),
    }
)
AFTER = pl.DataFrame(
    {
        "temperature": GENERATOR.normal(22, 5, 400),
        "season": GENERATOR.choice(["spring", "summer"], 400, p=[0.2, 0.8]),
        "humidity": GENERATOR.random(400),
    }
)
DRIFT = [name for name, metric in metrics.BY_NAME.items() if metric.family is metrics.Family.DRIFT]


@pytest.mark.parametrize("name", ["two_sample_kolmogorov_smirnov_test", "pearsons_chi_squared_test", "accuracy",
                                  "precision", "recall", "f1", "roc_auc", "r2", "selection_rate_ratio", "mae_ratio",
                                  "normalized_discounted_cumulative_gain", "residual_mean_shift",
                                  "residual_variance_shift", "residual_autocorrelation", "residual_normality",
                                  "maximum_mean_discrepancy_test", "classifier_two_sample_test"])  # fmt: skip
def test_what_should_be_high_alerts_below_its_threshold(name):
    assert signals.breached(name, 0.04, 0.05)
    assert not signals.breached(name, 0.05, 0.05)
    assert not signals.breached(name, 0.06, 0.05)


@pytest.mark.parametrize("name", ["jensen_shannon_distance", "population_stability_index", "mae", "mse", "rmse", "mape",
                                  "normalized_wasserstein_distance", "null_value_rate", "data_type_error_rate",
                                  "out_of_bounds_rate", "log_loss", "selection_rate_difference",
                                  "equalized_odds_difference", "accuracy_difference", "mae_difference",
                                  "maximum_mean_discrepancy", "classifier_two_sample",
                                  "out_of_vocabulary_rate"])  # fmt: skip
def test_what_should_be_low_alerts_above_its_threshold(name):
    assert signals.breached(name, 0.06, 0.05)
    assert not signals.breached(name, 0.05, 0.05)
    assert not signals.breached(name, 0.04, 0.05)
    assert signals.breached(name, math.inf, 0.05)


def test_bias_alerts_on_either_side_of_zero():
    assert signals.breached("bias", -31, 10)
    assert signals.breached("bias", 31, 10)
    assert not signals.breached("bias", -9, 10)


def test_every_metric_has_a_side_and_a_function():
    for name in metrics.BY_NAME:
        assert isinstance(signals.breached(name, 1.0, 0.5), bool)
    assert len(metrics.BY_NAME) == 37


def test_nothing_is_said_about_nan():
    with pytest.raises(errors.InvalidInput, match="nan"):
        signals.breached("mae", math.nan, 1.0)


def test_an_unknown_metric_names_its_nearest():
    with pytest.raises(errors.InvalidInput) as caught:
        signals.evaluate("chi_squared_test", ["a"], ["a"])
    assert "pearsons_chi_squared_test" in caught.value.cure


def test_a_verdict_says_value_and_threshold_and_never_passes_what_was_not_computed():
    value = signals.evaluate("normalized_wasserstein_distance", BEFORE["temperature"], AFTER["temperature"])
    verdict = signals.judge(value, 0.1)
    assert verdict.outcome is verdicts.Outcome.FAILED
    assert "temperature: normalized_wasserstein_distance" in verdict.reasons[0]
    assert signals.judge(value, 5.0).passed
    nothing = signals.evaluate("normalized_wasserstein_distance", BEFORE["temperature"], [None])
    assert nothing.value is None
    assert signals.judge(nothing, 0.1).outcome is verdicts.Outcome.NOT_CHECKED


def test_a_metric_of_the_other_kind_is_a_value_with_its_reason():
    value = signals.evaluate("pearsons_chi_squared_test", BEFORE["temperature"], AFTER["temperature"])
    assert (value.value, value.reason) == (None, "it is not defined for a column that is numerical")


def test_evaluate_equals_the_functions_and_counts_rows():
    value = signals.evaluate("jensen_shannon_distance", BEFORE["season"], AFTER["season"])
    assert value.value == drift.jensen_shannon_distance(BEFORE["season"], AFTER["season"], "categorical")
    assert (value.reference_rows, value.current_rows, value.kind) == (600, 400, Kind.CATEGORICAL)
    assert signals.evaluate("rmse", [1.0, 2.0], [1.0, 4.0]).value == pytest.approx(math.sqrt(2))
    assert signals.evaluate("precision", [0, 1, 1], [0, 1, 0], average="binary").value == 1.0
    assert signals.evaluate("roc_auc", [0, 1, 1], [0.1, 0.9, 0.8]).value == 1.0
    assert signals.evaluate("null_value_rate", [1.0, 2.0], [1.0, None]).value == 0.5


def test_labels_that_have_not_arrived_are_a_value_with_its_reason():
    value = signals.evaluate("mae", [None, None], [1.0, 2.0])
    assert value.value is None
    assert "true value" in value.reason


def test_options_that_a_metric_does_not_take_are_refused():
    with pytest.raises(errors.InvalidInput, match="option"):
        signals.evaluate("mae", [1.0], [1.0], average="macro")
    with pytest.raises(errors.InvalidInput, match="option"):
        signals.evaluate("null_value_rate", [1.0], [1.0], average="macro")


def test_metrics_of_more_than_one_column_say_where_they_are():
    for name in ("selection_rate_ratio", "residual_mean_shift", "maximum_mean_discrepancy"):
        with pytest.raises(errors.InvalidInput, match="not a metric of one column") as caught:
            signals.evaluate(name, [1.0], [1.0])
        assert "statistics." in caught.value.cure


def test_rows_on_one_side_and_a_profile_on_the_other_are_refused():
    with pytest.raises(errors.InvalidInput, match="profile"):
        signals.evaluate("null_value_rate", profiles.column([1.0]), [1.0])


WANTED = {
    "numerical": ["normalized_wasserstein_distance", "null_value_rate"],
    "categorical": ["jensen_shannon_distance"],
}


def test_a_table_is_evaluated_feature_by_feature():
    found = {(value.column, value.metric): value for value in signals.evaluate_table(WANTED, BEFORE, AFTER)}
    assert set(found) == {
        ("temperature", "normalized_wasserstein_distance"),
        ("temperature", "null_value_rate"),
        ("humidity", "normalized_wasserstein_distance"),
        ("humidity", "null_value_rate"),
        ("season", "jensen_shannon_distance"),
    }
    assert found["temperature", "normalized_wasserstein_distance"].value > 1
    assert found["humidity", "normalized_wasserstein_distance"].value < 0.2


def test_a_row_with_a_hole_is_left_out_of_drift_as_in_azure_but_not_of_quality():
    holes = AFTER.with_columns(
        pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise(pl.col("humidity")).alias("humidity")
    )
    found = {(value.column, value.metric): value for value in signals.evaluate_table(WANTED, BEFORE, holes)}
    assert found["temperature", "normalized_wasserstein_distance"].current_rows == 300
    assert found["temperature", "normalized_wasserstein_distance"].value == pytest.approx(
        drift.normalized_wasserstein_distance(BEFORE["temperature"], AFTER["temperature"][100:])
    )
    assert found["humidity", "null_value_rate"].value == 0.25


def test_a_dead_or_missing_column_does_not_blind_the_others():
    broken = AFTER.with_columns(pl.lit(None).cast(pl.Float64).alias("humidity")).drop("season")
    found = {(value.column, value.metric): value for value in signals.evaluate_table(WANTED, BEFORE, broken)}
    assert found["temperature", "normalized_wasserstein_distance"].current_rows == 400
    assert found["humidity", "normalized_wasserstein_distance"].reason == "the current column holds no values"
    assert found["humidity", "null_value_rate"].value == 1.0
    assert found["season", "jensen_shannon_distance"].reason == "the current data has no such column"


def test_a_column_of_another_type_is_not_compared_but_its_quality_is():
    typed = AFTER.with_columns(pl.lit("warm").alias("temperature"))
    wanted = {"numerical": ["normalized_wasserstein_distance", "data_type_error_rate"]}
    found = {value.metric: value for value in signals.evaluate_table(wanted, BEFORE, typed, ["temperature"])}
    assert found["normalized_wasserstein_distance"].reason == "the reference holds float and the current data string"
    assert found["data_type_error_rate"].value == 1.0


def test_features_that_do_not_exist_are_refused():
    with pytest.raises(errors.InvalidInput, match="'ghost'"):
        signals.evaluate_table(WANTED, BEFORE, AFTER, ["ghost"])
    with pytest.raises(errors.InvalidInput, match="not a metric of a feature"):
        signals.evaluate_table({"numerical": ["mae"]}, BEFORE, AFTER)


def test_values_are_written_as_canonical_json():
    value = signals.Value("normalized_wasserstein_distance", math.inf, "x", Kind.NUMERICAL)
    assert json.loads(canonical.dumps(value.to_dict()))["value"] == "inf"


KNOWN = profiles.reference(BEFORE)
WINDOW = profiles.window(AFTER, KNOWN)


@pytest.mark.parametrize("name", DRIFT)
@pytest.mark.parametrize("column", ["temperature", "season", "humidity"])
def test_profiles_give_nearly_what_rows_give(name, column):
    exact = signals.evaluate(name, BEFORE[column], AFTER[column])
    near = signals.evaluate(name, KNOWN.columns[column], WINDOW.columns[column])
    assert not near.exact or near.value is None
    if exact.value is None or near.value is None:
        assert near.reason
    elif column == "season":
        assert near.value == pytest.approx(exact.value)
    elif name == "normalized_wasserstein_distance":
        edges = KNOWN.columns[column].histogram.edges
        assert abs(near.value - exact.value) <= (edges[1] - edges[0]) / drift.norm(BEFORE[column].to_numpy())
    else:
        assert abs(near.value - exact.value) < 0.15 * max(1, exact.value)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40), st.lists(st.floats(-300, 300), min_size=1, max_size=40))
def test_wasserstein_of_profiles_is_within_one_bin_of_the_exact_one(x, y):
    known = profiles.column(pl.Series(x))
    window = profiles.column(pl.Series(y), known)
    near = signals.evaluate("normalized_wasserstein_distance", known, window).value
    exact = drift.normalized_wasserstein_distance(x, y)
    edges = np.array(known.histogram.edges)
    widest = max(np.diff(edges).max(), edges[0] - min(y), max(y) - edges[-1])
    assert abs(near - exact) * drift.norm(np.array(x)) <= widest * (1 + 1e-9) + 1e-9


def test_the_columns_that_moved_most_come_first_with_numbers_a_person_can_read():
    kinds = {"humidity": Kind.NUMERICAL, "season": Kind.CATEGORICAL, "temperature": Kind.NUMERICAL}
    moved = movements.most_moved(BEFORE, AFTER, kinds)
    assert [movement.column for movement in moved] == ["temperature", "season", "humidity"]
    sentence = str(next(movement for movement in moved if movement.column == "temperature"))
    assert sentence.startswith("temperature: mean 1")
    assert "-> 2" in sentence
    assert "season: " in str(moved[1])
    assert "winter 3" in str(moved[1])
    canonical.dumps([movement.to_dict() for movement in moved])
    from_profiles = movements.most_moved_profiles(KNOWN, WINDOW, 2)
    assert {movement.column for movement in from_profiles} == {"season", "temperature"}
    assert from_profiles[1].before.top == moved[1].before.top


def test_summaries_equal_numpy():
    values = BEFORE["temperature"].to_numpy()
    summary = movements.summarise(BEFORE["temperature"], "numerical")
    assert summary.mean == pytest.approx(values.mean())
    assert summary.std == pytest.approx(values.std(ddof=1))
    assert summary.quantiles == pytest.approx(tuple(np.quantile(values, movements.QUANTILES)))
    near = movements.of_profile(KNOWN.columns["temperature"])
    assert near.quantiles == pytest.approx(summary.quantiles, abs=1.0)
    assert movements.summarise([None, float("nan")], "numerical").mean is None


def test_a_label_beyond_the_most_frequent_is_told_by_what_its_share_can_be_at_most():
    kinds = {"c": Kind.CATEGORICAL}
    before, after = pl.DataFrame({"c": ["x", "y"] * 50}), pl.DataFrame({"c": ["x"] * 20 + ["z"] * 80})
    (moved,) = movements.most_moved(before, after, kinds)
    assert str(moved) == "c: z 0.0% -> 80.0%, y 50.0% -> 0.0%, x 50.0% -> 20.0%"
    hours = [str(number % 24) for number in range(2400)]
    (moved,) = movements.most_moved(pl.DataFrame({"c": hours}), pl.DataFrame({"c": hours[:-5]}), kinds)
    assert "4.2% -> under 4.2%" in str(moved) or "under" not in str(moved)
    many = pl.DataFrame({"c": hours + ["new"] * 1200})
    assert "new under 4.2% -> 33.3%" in str(movements.most_moved(pl.DataFrame({"c": hours}), many, kinds)[0])


def test_where_no_row_has_all_features_that_is_said() -> None:
    """Each column holds values; rows with a missing one are left out, as in Azure, and none is left."""
    whole = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.5, 2.5, 3.5, 4.5]})
    holes = pl.DataFrame({"a": [1.0, None, 3.0, None], "b": [None, 2.0, None, 4.0]})
    for one, two, side in ((whole, holes, "current data"), (holes, whole, "reference")):
        found = signals.evaluate_table({"numerical": ["population_stability_index"]}, one, two)
        assert [each.reason.partition(":")[0] for each in found] == [f"no row of the {side} has all features"] * 2
