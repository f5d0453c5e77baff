"""Signals over a written inference log; scipy and scikit-learn are the referees of the numbers."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from monitoring_watch import MONITOR, NOW, REFERENCE, Watch
from scipy import stats
from sklearn import metrics as referee

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.monitoring import commands, dated, model_signals
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

RANDOM = np.random.default_rng(7)
BEFORE = RANDOM.normal(10, 2, 400)
AFTER = RANDOM.normal(12, 3, 300)
KINDS_BEFORE = RANDOM.choice(["a", "b", "c"], 400, p=[0.5, 0.3, 0.2]).tolist()
KINDS_AFTER = RANDOM.choice(["a", "b", "c"], 300, p=[0.2, 0.3, 0.5]).tolist()

DRIFT = """inputs:
  type: data_drift
  {reference}
  metric_thresholds:
    numerical:
      {numerical}
    categorical:
      {categorical}
"""


def training() -> pl.DataFrame:
    return pl.DataFrame({"x": BEFORE, "kind": KINDS_BEFORE, "y": BEFORE * 2})


def drift(
    numerical: str = "normalized_wasserstein_distance: 0.1", categorical: str = "jensen_shannon_distance: 0.1"
) -> str:
    return DRIFT.format(reference=REFERENCE.replace("\n", "\n  ").replace("        ", "    "), numerical=numerical,
                        categorical=categorical)  # fmt: skip


def test_drift_of_numbers_and_kinds_is_what_scipy_says(watch: Watch) -> None:
    watch.training(training())
    watch.answered({"x": AFTER.tolist(), "kind": KINDS_AFTER}, (AFTER * 2).tolist())
    watch.put(drift())
    run = watch.run()
    assert run.status == "completed", run.error
    # Azure's definition: Wasserstein distance over the sample standard deviation of the reference.
    distance = stats.wasserstein_distance(BEFORE, AFTER) / np.std(BEFORE, ddof=1)
    assert watch.value(run, "inputs", "normalized_wasserstein_distance", "x") == pytest.approx(distance, rel=1e-9)
    from scipy.spatial import distance as distances

    shares = [[values.count(kind) / len(values) for kind in "abc"] for values in (KINDS_BEFORE, KINDS_AFTER)]
    wanted = distances.jensenshannon(*shares, base=2)
    assert watch.value(run, "inputs", "jensen_shannon_distance", "kind") == pytest.approx(wanted, rel=1e-9)
    found = watch.signal(run, "inputs")
    assert (found["status"], found["reference_rows"], found["production_rows"]) == ("alert", 400, 300)
    assert {each["column"] for each in found["metrics"]} == {"x", "kind"}, "the target is not among the inputs"
    assert "x" in found["moved"][0]["sentence"] or "kind" in found["moved"][0]["sentence"]


def test_the_tests_of_statistics_are_scipys(watch: Watch) -> None:
    watch.training(training())
    watch.answered({"x": AFTER.tolist(), "kind": KINDS_AFTER}, (AFTER * 2).tolist())
    watch.put(drift("two_sample_kolmogorov_smirnov_test: 0.05", "pearsons_chi_squared_test: 0.05"))
    run = watch.run()
    wanted = stats.ks_2samp(BEFORE, AFTER, method="exact").pvalue
    found = watch.value(run, "inputs", "two_sample_kolmogorov_smirnov_test", "x")
    assert found == pytest.approx(wanted, rel=1e-6, abs=0)
    before, after = (np.array([values.count(kind) for kind in "abc"]) for values in (KINDS_BEFORE, KINDS_AFTER))
    wanted = stats.chisquare(after, before / before.sum() * after.sum()).pvalue  # as Azure has it: goodness of fit
    assert watch.value(run, "inputs", "pearsons_chi_squared_test", "kind") == pytest.approx(wanted, rel=1e-6, abs=0)
    assert watch.signal(run, "inputs")["status"] == "alert", "a p-value alerts below its threshold"


def test_no_drift_raises_nothing(watch: Watch) -> None:
    watch.training(training())
    watch.answered({"x": BEFORE.tolist(), "kind": KINDS_BEFORE}, (BEFORE * 2).tolist())
    watch.put(drift())
    run = watch.run()
    assert watch.signal(run, "inputs")["status"] == "ok"
    assert watch.value(run, "inputs", "normalized_wasserstein_distance", "x") == pytest.approx(0, abs=1e-12)
    assert (watch.alerts(), watch.facts("monitor.alert")) == ([], [])


def test_what_was_answered_is_compared_with_what_was_learnt(watch: Watch) -> None:
    watch.training(training())
    watch.answered({"x": BEFORE.tolist(), "kind": KINDS_BEFORE}, (AFTER[: len(AFTER)].tolist() + [0.0] * 100))
    text = drift().replace("inputs:", "outputs:").replace("data_drift", "prediction_drift")
    watch.put(text)
    run = watch.run()
    answers = AFTER.tolist() + [0.0] * 100
    wanted = stats.wasserstein_distance(BEFORE * 2, answers) / np.std(BEFORE * 2, ddof=1)
    found = watch.value(run, "outputs", "normalized_wasserstein_distance", "prediction")
    assert found == pytest.approx(wanted, rel=1e-9)


QUALITY = """quality:
  type: data_quality
  {reference}
  metric_thresholds:
    numerical: {{null_value_rate: 0.1, data_type_error_rate: 0.0, out_of_bounds_rate: 0.05}}
    categorical: {{null_value_rate: 0.0, data_type_error_rate: 0.0, out_of_bounds_rate: 0.0}}
"""


def test_quality_counts_what_is_missing_of_another_type_or_out_of_bounds(watch: Watch) -> None:
    watch.training(training())
    low, high = BEFORE.min(), BEFORE.max()
    numbers = [10.0] * 70 + [None] * 20 + [low - 1] * 4 + [high + 1] * 6
    kinds = ["a"] * 95 + ["new"] * 3 + [None] * 2
    watch.answered({"x": numbers, "kind": kinds}, [1.0] * 100)
    watch.put(QUALITY.format(reference=REFERENCE.replace("\n", "\n  ").replace("        ", "    ")))
    run = watch.run()
    assert watch.value(run, "quality", "null_value_rate", "x") == pytest.approx(0.2)
    assert watch.value(run, "quality", "out_of_bounds_rate", "x") == pytest.approx(0.1, abs=0.03)
    assert watch.value(run, "quality", "null_value_rate", "kind") == pytest.approx(0.02)
    assert watch.value(run, "quality", "out_of_bounds_rate", "kind") == pytest.approx(0.03, abs=0.002)
    crossed = {(each["metric"], each["column"]) for each in watch.signal(run, "quality")["metrics"] if each["alert"]}
    assert crossed == {
        ("null_value_rate", "x"), ("out_of_bounds_rate", "x"), ("null_value_rate", "kind"),
        ("out_of_bounds_rate", "kind"),
    }  # fmt: skip


PERFORMANCE = """performance:
  type: model_performance
  metric_thresholds:
    {task}: {thresholds}
"""


def test_performance_waits_for_true_values_and_is_scikit_learns(watch: Watch) -> None:
    said = (AFTER * 2).tolist()
    ids = watch.answered({"x": AFTER.tolist()}, said)
    watch.put(PERFORMANCE.format(task="regression", thresholds="{mae: 3, rmse: 3, mse: 1000}"))
    run = watch.run()
    assert watch.signal(run, "performance")["status"] == "not_checked"
    assert "true value" in watch.signal(run, "performance")["reason"]

    truth = [value + noise for value, noise in zip(said, RANDOM.normal(1, 4, len(said)), strict=True)]
    watch.told(dict(list(zip(ids, truth, strict=True))[:100]))
    run = watch.run(id_="half")
    assert watch.signal(run, "performance")["production_rows"] == 100
    watch.told(dict(list(zip(ids, truth, strict=True))[100:]), NOW + timedelta(days=3))
    run = watch.run(id_="all")
    assert watch.signal(run, "performance")["production_rows"] == len(said)
    assert watch.value(run, "performance", "mae") == pytest.approx(referee.mean_absolute_error(truth, said))
    assert watch.value(run, "performance", "mse") == pytest.approx(referee.mean_squared_error(truth, said))
    assert watch.value(run, "performance", "rmse") == pytest.approx(referee.root_mean_squared_error(truth, said))


def test_a_corrected_true_value_counts_and_not_the_first(watch: Watch) -> None:
    (request,) = watch.answered({"x": [1.0]}, [10.0])
    watch.told({request: 100.0})
    watch.told({request: 12.0}, NOW + timedelta(hours=1))
    watch.put(PERFORMANCE.format(task="regression", thresholds="{mae: 50}"))
    assert watch.value(watch.run(), "performance", "mae") == 2.0


def test_accuracy_alerts_when_it_falls_below(watch: Watch) -> None:
    truth = ["yes"] * 60 + ["no"] * 40
    said = ["yes"] * 50 + ["no"] * 10 + ["no"] * 30 + ["yes"] * 10
    ids = watch.answered({"x": [1.0] * 100}, said)
    watch.told(dict(zip(ids, truth, strict=True)))
    watch.put(
        PERFORMANCE.format(task="classification", thresholds="{accuracy: 0.9, precision: 0.5, recall: 0.5}"),
        task="classification",
    )
    run = watch.run()
    assert watch.value(run, "performance", "accuracy") == referee.accuracy_score(truth, said)
    assert watch.value(run, "performance", "precision") == pytest.approx(
        referee.precision_score(truth, said, average="macro")
    )
    alerting = [each["metric"] for each in watch.signal(run, "performance")["metrics"] if each["alert"]]
    assert alerting == ["accuracy"]


@pytest.mark.parametrize("said", [[1, 0, 1, 1], [True, False, True, True], [1.0, 0.0, 1.0, 1.0]])
def test_classes_that_are_numbers_are_met_by_labels_which_are_kept_as_floats(watch: Watch, said: list[Any]) -> None:
    ids = watch.answered({"x": [1.0] * 4}, said)
    watch.told(dict(zip(ids, [1.0, 0.0, 1.0, 0.0], strict=True)))
    watch.put(PERFORMANCE.format(task="classification", thresholds="{accuracy: 0.5}"), task="classification")
    assert watch.value(watch.run(), "performance", "accuracy") == 0.75


def test_only_the_window_s_own_served_and_successful_rows_count(watch: Watch) -> None:
    watch.training(training())
    day = timedelta(days=1)
    watch.answered({"x": [1.0] * 10, "kind": ["a"] * 10}, [1.0] * 10, start=NOW - day)
    watch.answered({"x": [2.0] * 20, "kind": ["a"] * 20}, [1.0] * 20, start=NOW - day - timedelta(seconds=20))
    watch.answered({"x": [3.0] * 30, "kind": ["a"] * 30}, [1.0] * 30, start=NOW)
    watch.answered({"x": [4.0] * 40, "kind": ["a"] * 40}, [1.0] * 40, deployment="green")
    watch.answered({"x": [5.0] * 50, "kind": ["a"] * 50}, [1.0] * 50, status=400)
    watch.answered({"x": [6.0] * 60, "kind": ["a"] * 60}, [1.0] * 60, mirrored=True)
    watch.answered({"x": [7.0] * 5, "kind": ["a"] * 5}, [1.0] * 5, deployment="blue-7")
    watch.put(drift())
    run = watch.run()
    assert (run.window_start, run.window_end) == (NOW - day, NOW)
    assert watch.signal(run, "inputs")["production_rows"] == 15, "those of blue, and of the release's blue-7"


def test_an_empty_window_is_not_checked_and_says_so(watch: Watch) -> None:
    watch.training(training())
    watch.put(drift() + PERFORMANCE.format(task="regression", thresholds="{mae: 3}"))
    run = watch.run()
    assert run.status == "completed"
    assert {each["signal"]: each["status"] for each in run.signals} == {
        "inputs": "not_checked", "performance": "not_checked",
    }  # fmt: skip
    assert "no rows" in watch.signal(run, "inputs")["reason"]


def test_one_signal_that_cannot_be_computed_leaves_the_others(watch: Watch) -> None:
    watch.answered({"x": AFTER.tolist()}, (AFTER * 2).tolist())
    watch.put(
        drift() + "other:\n  type: generation_token_statistics\n"
        + PERFORMANCE.format(task="regression", thresholds="{mae: 3}")
    )  # fmt: skip
    run = watch.run()
    assert run.status == "completed"
    assert "no data azureml:training" in watch.signal(run, "inputs")["reason"]
    assert "do not say how many tokens" in watch.signal(run, "other")["reason"]
    assert [each["signal"] for each in run.signals] == ["inputs", "other", "performance"]


def test_earlier_production_data_stands_for_a_reference_that_is_not_named(watch: Watch) -> None:
    day = timedelta(days=1)
    watch.answered({"x": BEFORE.tolist()}, [1.0] * 400, start=NOW - 2 * day)
    watch.answered({"x": AFTER.tolist()}, [1.0] * 300)
    watch.put("inputs:\n  type: data_drift\n  metric_thresholds: {numerical: {normalized_wasserstein_distance: 0.1}}")
    run = watch.run()
    wanted = stats.wasserstein_distance(BEFORE, AFTER) / np.std(BEFORE, ddof=1)
    found = watch.value(run, "inputs", "normalized_wasserstein_distance", "x")
    assert found == pytest.approx(wanted, rel=1e-9)


def test_while_the_gateway_is_away_nothing_is_concluded(watch: Watch) -> None:
    """The newest answers are with it: a run without them would be wrong, so it is tried again and then fails."""
    watch.training(training())
    watch.answered({"x": BEFORE.tolist(), "kind": KINDS_BEFORE}, [1.0] * 400)
    watch.put(drift())
    watch.serving.away = True
    run = watch.run()
    assert (run.status, "does not answer" in run.error, run.signals) == ("failed", True, [])
    assert watch.facts("monitor.failed")[-1].data["run"] == run.id
    watch.serving.away = False
    assert watch.run(id_="again").status == "completed"


def test_the_course_of_a_signal_is_kept(watch: Watch) -> None:
    from doubleloop.monitoring import queries

    watch.training(training())
    day = timedelta(days=1)
    for back in (2, 1, 0):
        watch.answered({"x": (BEFORE + back).tolist(), "kind": KINDS_BEFORE}, [1.0] * 400,
                       start=NOW - back * day - timedelta(hours=12))  # fmt: skip
    watch.put(drift())
    for back in (0, 2, 1):
        watch.run(NOW - back * day)
    with watch.house.read("linus", "prod") as ctx:
        (line,) = queries.series(ctx, "watch", "inputs", "normalized_wasserstein_distance", "x")
    assert [point[0] for point in line["points"]] == [NOW - 2 * day, NOW - day, NOW]
    values = [point[1] for point in line["points"]]
    assert values == pytest.approx([2 / np.std(BEFORE, ddof=1), 1 / np.std(BEFORE, ddof=1), 0], abs=1e-9)
    assert [point[2] for point in line["points"]] == [True, True, False]
    assert line["threshold"] == 0.1


@pytest.mark.parametrize(
    ("trigger", "days"),
    [("type: cron, expression: '0 0 * * *'", 7), ("type: recurrence, frequency: hour, interval: 1", 1),
     ("type: recurrence, frequency: week, interval: 2", 14), ("type: recurrence, frequency: month, interval: 1", 30)],
)  # fmt: skip
def test_the_window_is_azures_when_the_file_names_none(trigger: str, days: int) -> None:
    from doubleloop.monitoring import rules
    from doubleloop.specs import documents

    text = f"{{$schema: x/monitorSchedule.schema.json, name: w, trigger: {{{trigger}}}, create_monitor: {{compute: "
    text += "{instance_type: standard_e4s_v3, runtime_version: '3.4'}, monitoring_target: {ml_task: regression, "
    text += "endpoint_deployment_id: 'azureml:a:b'}}}"
    spec = documents.parse(text, "m.yml", "/nowhere").model
    as_of = datetime(2026, 3, 1, tzinfo=UTC)
    window: Any = rules.production_window(None, spec.trigger, as_of)
    assert (window.end, (window.end - window.start).days) == (as_of, days)


def test_a_signal_that_looked_at_nothing_is_not_checked_and_says_why(watch: Watch) -> None:
    watch.training(training().drop("kind"))
    watch.answered({"x": AFTER.tolist(), "kind": KINDS_AFTER}, AFTER.tolist(), deployment="green")
    untold = REFERENCE.replace("target_column: y", "target_column: nothing").replace("\n      ", "\n  ")
    watch.put(f"""
none: {{type: data_drift, metric_thresholds: {{}}}}
elsewhere: {{type: prediction_drift}}
ranked:
  type: data_drift
  features: {{top_n_feature_importance: 1}}
  {untold}
""")
    seen = watch.run()
    assert "No deployment blue of bikes answered in the window; green did" in watch.signal(seen, "none")["reason"]
    watch.answered({"x": AFTER.tolist(), "kind": KINDS_AFTER}, AFTER.tolist())
    watch.answered({"x": BEFORE.tolist(), "kind": KINDS_BEFORE}, BEFORE.tolist(), start=NOW - timedelta(hours=36))
    seen = watch.run()
    for name, why in (("none", "no metric was computed"), ("ranked", "it has no column 'nothing'")):
        found = watch.signal(seen, name)
        assert found["status"] == "not_checked" and why in found["reason"]


def test_the_most_important_features_are_those_that_explain_the_answers_where_no_target_is_named(watch: Watch) -> None:
    """The reference is what was asked before: which column the answers hang on is in the log alone."""
    noise = RANDOM.normal(0, 1, 400).tolist()
    watch.answered({"noise": noise, "x": BEFORE.tolist()}, (BEFORE * 2).tolist(), start=NOW - timedelta(hours=36))
    watch.answered({"noise": noise[:300], "x": AFTER.tolist()}, (AFTER * 2).tolist())
    watch.put("""
drift: {type: data_drift, features: {top_n_feature_importance: 1}}
quality: {type: data_quality, features: {top_n_feature_importance: 1}}
""")
    seen = watch.run()
    for name in ("drift", "quality"):
        assert {each["column"] for each in watch.signal(seen, name)["metrics"]} == {"x"}


def test_what_looks_at_data_assets_alone_needs_no_endpoint(watch: Watch) -> None:
    """Azure's example of a custom signal, and models that answer elsewhere."""
    asset = '{input_data: {path: "azureml:rides:1", type: mltable}}'
    text = MONITOR.format(task="regression", signals="    s: SIGNAL").replace(
        '  monitoring_target: {ml_task: regression, endpoint_deployment_id: "azureml:bikes:blue"}\n', ""
    )
    drift = f"{{type: data_drift, production_data: {asset}, reference_data: {asset}}}"
    custom = f"{{type: custom, component_id: azureml:spread:1, input_data: {{rides: {asset}}}}}"
    for signal in (drift, custom):
        document = documents.parse(text.replace("SIGNAL", signal), "monitor.yml", watch.house.home)
        with watch.house.write("linus", "prod") as ctx:
            assert commands.put(ctx, document).endpoint == ""
    document = documents.parse(text.replace("SIGNAL", "{type: data_drift}"), "monitor.yml", watch.house.home)
    with watch.house.write("linus", "prod") as ctx, pytest.raises(errors.InvalidInput, match="names no endpoint"):
        commands.put(ctx, document)


def test_an_infinite_value_ends_no_run(watch: Watch) -> None:
    """It cannot be written as JSON: it stands as the largest number, alerts, and the run goes to its end."""
    watch.answered({"x": BEFORE.tolist()}, BEFORE.tolist(), start=NOW - timedelta(hours=36))
    watch.answered({"x": [float("inf")] * 30 + AFTER.tolist()}, [float("nan")] * 30 + AFTER.tolist())
    watch.put("inputs: {type: data_drift}\nanswers: {type: prediction_drift}")
    run = watch.run()
    assert run.status == "completed", run.error
    (found,) = watch.signal(run, "inputs")["metrics"]
    assert (found["value"], found["alert"], found["reason"]) == (sys.float_info.max, True, "it is infinite")
    wanted = stats.wasserstein_distance(BEFORE, AFTER) / np.std(BEFORE, ddof=1)
    assert watch.value(run, "answers", "normalized_wasserstein_distance", "prediction") == pytest.approx(wanted)
    assert max(each.value for each in watch.alerts()) == sys.float_info.max


def test_answers_that_are_no_classes_are_not_judged_as_such(watch: Watch) -> None:
    """Scores beside classes, a positive label that no answer is, and true or false in words."""
    chosen = (AFTER > 12).tolist()
    ids = watch.answered({"x": AFTER.tolist(), "k": KINDS_AFTER}, chosen, more={"out.score": (AFTER / 20).tolist()})
    watch.told({each: str(said) for each, said in zip(ids, chosen, strict=True)})
    performance = "model_performance, metric_thresholds: {classification: {accuracy: 0.9}}"
    watch.put(f"""
words: {{type: {performance}}}
scores: {{type: {performance}, production_data: {{data_column_names: {{prediction: score}}}}}}
groups: {{type: fairness, sensitive_features: [k], positive_label: "yes"}}
guess: {{type: estimated_performance, production_data: {{data_column_names: {{prediction_probability: score}}}}}}
""", task="classification")  # fmt: skip
    earlier = watch.answered({"x": AFTER.tolist(), "k": KINDS_AFTER}, chosen, start=NOW - timedelta(hours=36),
                             more={"out.score": (AFTER / 20).tolist()})  # fmt: skip
    watch.told({each: str(said) for each, said in zip(earlier, chosen, strict=True)})
    run = watch.run()
    assert watch.value(run, "guess", "accuracy") > 0.9
    assert watch.value(run, "words", "accuracy") == 1.0
    assert "are scores" in watch.signal(run, "scores")["reason"]
    told = watch.signal(run, "groups")
    assert told["status"] == "not_checked" and "positive label yes; the answers are 0, 1" in told["reason"]


ASSETS = (
    '{{type: {type}, production_data: {{input_data: {{path: "azureml:collected@latest"}}, data_window: {{{window}}}}}, '
    'reference_data: {{input_data: {{path: "azureml:{before}@latest"}}, data_window: {{{earlier}}}}}}}'
)


def test_a_window_of_collected_files_is_those_whose_place_says_so(watch: Watch, tmp_path: Path) -> None:
    for day, shift, hours in ((26, 0, 4), (27, 3, 4), (28, 9, 1)):
        for hour in range(hours):
            place = tmp_path / f"2026/02/{day}/{hour:02d}"
            place.mkdir(parents=True)
            pl.DataFrame({"x": RANDOM.normal(shift, 1, 50)}).write_parquet(place / "a.parquet")
    with watch.house.write("ada", "registry") as ctx:
        tree = ctx.port(storage.Blobs).put_tree(tmp_path)
        data.add_version(ctx, "collected", f"tree:sha256:{tree.sha256}", "uri_folder")
    watch.training(training())
    day = "window_start: 2026-02-26, window_end: 2026-02-26"
    said = {"type": "data_drift", "window": "lookback_window_size: P1D, lookback_window_offset: P1D",
            "before": "collected", "earlier": day}  # fmt: skip
    dated_ = ASSETS.format(**said)
    whole = ASSETS.format(**{**said, "before": "training", "earlier": "lookback_window_size: P7D"})
    never = ASSETS.format(**{**said, "type": "data_quality", "earlier": day.replace("2026", "2025")})
    watch.put(f"dated: {dated_}\nwhole: {whole}\nnever: {never}\n")
    run = watch.run(datetime(2026, 2, 28, 2, tzinfo=UTC))
    seen = watch.signal(run, "dated")
    # 26 Feb 02:00 to 27 Feb 02:00: two hours of the one day, two of the other.
    assert (seen["reference_rows"], seen["production_rows"], seen["reason"]) == (200, 200, "")
    assert 0.8 < watch.value(run, "dated", "normalized_wasserstein_distance", "x") < 2.2
    assert "not dated by their place" in watch.signal(run, "whole")["reason"]
    assert watch.signal(run, "whole")["reference_rows"] == 400
    never = watch.signal(run, "never")
    assert never["status"] == "not_checked" and "is of the window 2025-02-26" in never["reason"]


@pytest.mark.parametrize(
    ("path", "start", "hours"),
    [
        ("a/2026/11/26/08/x.parquet", datetime(2026, 11, 26, 8, tzinfo=UTC), 1),
        ("year=2026/month=3/day=1/x.csv", datetime(2026, 3, 1, tzinfo=UTC), 24),
        ("date=2026-03-01/part-0.parquet", datetime(2026, 3, 1, tzinfo=UTC), 24),
        ("2026/13/45/x.csv", None, 0), ("rides/2026.csv", None, 0), ("v2026/1/2.csv", None, 0),
    ],
)  # fmt: skip
def test_the_place_of_a_file_says_when_it_is_of(path: str, start: datetime | None, hours: int) -> None:
    found = dated.span(path)
    assert (found and found.start) == start
    assert found is None or found.end - found.start == timedelta(hours=hours)


# Azure's own example: the truth and the answer are called alike, each in a table of its own.
TRUTH = """
performance:
  type: model_performance
  {production}
  reference_data:
    input_data: {{path: "azureml:truth@latest", type: mltable}}
    data_context: ground_truth
    data_column_names: {{target_column: is_fraud, correlation_id: id}}
  metric_thresholds: {{classification: {{accuracy: 0.9}}}}
"""
OF_ASSET = """production_data:
    input_data: {path: "azureml:training@latest", type: mltable}
    data_column_names: {prediction: is_fraud, correlation_id: cid}"""


def truth(watch: Watch, told: dict[str, Any]) -> None:
    blobs = watch.house.contexts.port(storage.Blobs)
    frame = pl.DataFrame({"id": list(told), "is_fraud": list(told.values())})
    with watch.house.write("ada", "registry") as ctx:
        data.add_version(ctx, "truth", data.store_bytes(blobs, "t.csv", frame.write_csv().encode()), "uri_file")


def test_truth_and_answers_that_are_called_alike_are_told_apart(watch: Watch) -> None:
    """Ids are whole numbers on one side and floats on the other; the last word on an id counts; some are unknown."""
    said, right = RANDOM.integers(0, 2, 90), RANDOM.integers(0, 2, 90)
    watch.training(pl.DataFrame({"cid": np.arange(90), "is_fraud": said}))
    blobs = watch.house.contexts.port(storage.Blobs)
    frame = pl.DataFrame({"id": [*np.arange(90.0), 1000.0, *np.arange(30.0)],
                          "is_fraud": [*(1 - right[:30]), *right[30:], 1, *right[:30]]})  # fmt: skip
    with watch.house.write("ada", "registry") as ctx:
        data.add_version(ctx, "truth", data.store_bytes(blobs, "t.csv", frame.write_csv().encode()), "uri_file")
    watch.put(TRUTH.format(production=OF_ASSET), task="classification")
    run = watch.run()
    assert watch.value(run, "performance", "accuracy") == pytest.approx(referee.accuracy_score(right, said))
    assert watch.signal(run, "performance")["production_rows"] == 90


def test_truth_in_a_data_asset_is_joined_to_what_the_endpoint_answered(watch: Watch) -> None:
    """By request id, or by id and row; what came as a label goes before."""
    said = RANDOM.integers(0, 2, 40)
    ids = watch.answered({"x": AFTER[:40].tolist()}, said.tolist())
    watch.put(TRUTH.format(production="production_data: {data_context: model_outputs}"), task="classification")
    assert "There is no data" in watch.signal(watch.run(), "performance")["reason"]
    truth(watch, {f"{each}_0" if at % 2 else each: int(at < 10) for at, each in enumerate(ids)} | {"nobody": 1})
    wanted = [int(at < 10) for at in range(40)]
    assert watch.value(watch.run(), "performance", "accuracy") == pytest.approx(referee.accuracy_score(wanted, said))
    watch.told({each: int(1 - said[at]) for at, each in enumerate(ids[:20])})
    wanted[:20] = (1 - said[:20]).tolist()
    assert watch.value(watch.run(), "performance", "accuracy") == pytest.approx(referee.accuracy_score(wanted, said))


def test_drift_of_data_assets_looks_at_features_and_at_answers_as_the_file_names_them(watch: Watch) -> None:
    """Both tables hold more than that: ids, truth, answers beside inputs."""
    before = pl.DataFrame({"id": range(400), "x": BEFORE, "y": BEFORE * 2, "score": 0.5})
    now = pl.DataFrame({"id": range(1000, 1300), "x": AFTER, "y": AFTER * 3, "score": AFTER * 4})
    watch.training(before)
    watch.training(now, "collected")
    data_ = '{{input_data: {{path: "azureml:{}@latest"}}, data_column_names: {{correlation_id: id, {}}}}}'
    sides = (f"production_data: {data_.format('collected', 'prediction: score')}, "
             f"reference_data: {data_.format('training', 'target_column: y')}")  # fmt: skip
    watch.put(f"inputs: {{type: data_drift, {sides}}}\nquality: {{type: data_quality, {sides}}}\n"
              f"answers: {{type: prediction_drift, {sides}}}\n"
              f"wrong: {{type: prediction_drift, {sides.replace('score', 'nothing')}}}")  # fmt: skip
    run = watch.run()
    for name in ("inputs", "quality"):
        assert {each["column"] for each in watch.signal(run, name)["metrics"]} == {"x"}
    wanted = stats.wasserstein_distance(BEFORE * 2, AFTER * 4) / np.std(BEFORE * 2, ddof=1)
    found = watch.value(run, "answers", "normalized_wasserstein_distance", "prediction")
    assert found == pytest.approx(wanted) and len(watch.signal(run, "answers")["metrics"]) == 1
    assert "no column 'nothing', its prediction" in watch.signal(run, "wrong")["reason"]


def test_vectors_are_read_as_the_log_holds_them_and_other_texts_are_refused(watch: Watch) -> None:
    """The log writes nested values as JSON."""
    one, two = RANDOM.normal(0, 1, (60, 3)).tolist(), RANDOM.normal(2, 1, (60, 3)).tolist()
    words = {"said": ["some words"] * 60}
    watch.answered({"vector": [json.dumps(each) for each in one], **words}, [0.0] * 60, start=NOW - timedelta(hours=36))
    watch.answered({"vector": [json.dumps(each) for each in two], **words}, [0.0] * 60)
    watch.put("space: {type: embedding_drift, features: [vector]}\nwords: {type: embedding_drift, features: [said]}")
    run = watch.run()
    assert watch.value(run, "space", "maximum_mean_discrepancy_test") == pytest.approx(1 / 201, abs=0.005)
    assert "neither numbers nor vectors" in watch.signal(run, "words")["reason"]


def test_what_nobody_thought_of_costs_its_own_signal_alone(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise pl.exceptions.ComputeError("what a library says\nof itself")

    monkeypatch.setitem(model_signals.SIGNALS, "embedding_drift", fails)
    watch.answered({"x": BEFORE.tolist()}, BEFORE.tolist(), start=NOW - timedelta(hours=36))
    watch.answered({"x": AFTER.tolist()}, AFTER.tolist())
    watch.put("odd: {type: embedding_drift}\ninputs: {type: data_drift}")
    run = watch.run()
    assert run.status == "completed" and watch.signal(run, "inputs")["status"] == "alert"
    assert watch.signal(run, "odd")["reason"] == "it could not be computed: ComputeError: what a library says"


def test_that_few_rows_were_compared_is_said(watch: Watch) -> None:
    """A feature that most requests leave out leaves few rows that have all of them."""
    rare = [1.0 * at if at % 4 == 0 else None for at in range(300)]
    watch.answered({"x": BEFORE.tolist(), "rare": [1.0 * at for at in range(400)]}, BEFORE.tolist(),
                   start=NOW - timedelta(hours=36))  # fmt: skip
    watch.answered({"x": AFTER.tolist(), "rare": rare}, AFTER.tolist())
    watch.put("all: {type: data_drift}\nx: {type: data_drift, features: [x]}")
    run = watch.run()
    assert (
        watch.signal(run, "all")["reason"] == "25.0% of the production rows have all features: the others were left out"
    )
    assert watch.signal(run, "x")["reason"] == ""


def test_a_label_that_is_no_number_costs_a_regression_that_row_alone(watch: Watch) -> None:
    ids = watch.answered({"x": AFTER[:20].tolist()}, AFTER[:20].tolist())
    watch.told({each: float(value) + 0.5 for each, value in zip(ids[:18], AFTER, strict=False)})
    watch.told({ids[18]: "n/a"})
    watch.put("performance: {type: model_performance, metric_thresholds: {regression: {mae: 1}}}")
    run = watch.run()
    assert watch.value(run, "performance", "mae") == pytest.approx(0.5)
    assert watch.signal(run, "performance")["production_rows"] == 18


def test_the_rows_of_a_segment_are_found_however_their_values_are_written(watch: Watch) -> None:
    """One null makes floats of whole numbers; YAML writes True as true."""
    inputs = {"x": AFTER[:40].tolist(), "n": [3.0, None, 4.0, 3.0] * 10, "flag": [True, False] * 20}
    watch.answered(inputs, AFTER[:40].tolist(), start=NOW - timedelta(hours=36))
    watch.answered(inputs, AFTER[:40].tolist())
    segment = "{{type: data_drift, data_segment: {{feature_name: {}, feature_values: [{}]}}}}"
    watch.put(f"whole: {segment.format('n', '3')}\nflags: {segment.format('flag', 'True')}\n"
              f"none: {segment.format('n', '5')}")  # fmt: skip
    run = watch.run()
    assert [watch.signal(run, each)["production_rows"] for each in ("whole", "flags")] == [20, 20]
    assert watch.signal(run, "none")["reason"] == "No row is of the segment: n is never 5"


def test_thresholds_of_what_the_model_does_not_do_are_not_called_well(watch: Watch) -> None:
    """And where the file does not say what it does, its thresholds do."""
    ids = watch.answered({"x": [1.0] * 10}, [1] * 10)
    watch.told(dict.fromkeys(ids, 1.0))
    performance = "performance: {type: model_performance, metric_thresholds: {classification: {accuracy: 0.9}}}"
    watch.put(performance)
    found = watch.signal(watch.run(), "performance")
    assert (
        found["status"] == "not_checked"
        and "does regression, and the thresholds are of classification" in found["reason"]
    )
    text = MONITOR.format(task="regression", signals=f"    {performance}").replace("ml_task: regression, ", "")
    with watch.house.write("linus", "prod") as ctx:
        commands.put(ctx, documents.parse(text, "monitor.yml", watch.house.home))
    assert watch.value(watch.run(), "performance", "accuracy") == 1.0
