"""Rates of data quality come from profiles that are kept beside the log's files, and are those of the rows."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from monitoring_watch import NOW, REFERENCE, Watch
from scipy import stats

from doubleloop.gateway import log, paths
from doubleloop.monitoring import arrivals, profile_signals
from doubleloop.statistics import signals

RANDOM = np.random.default_rng(2)
QUALITY = """quality:
  type: data_quality
  {reference}
  metric_thresholds:
    numerical: {{null_value_rate: 0.1, data_type_error_rate: 0.0, out_of_bounds_rate: 0.05}}
    categorical: {{null_value_rate: 0.0, data_type_error_rate: 0.0, out_of_bounds_rate: 0.0}}
""".format(reference=REFERENCE.replace("\n", "\n  ").replace("        ", "    "))
TRAINING = pl.DataFrame({"x": RANDOM.normal(size=300), "kind": RANDOM.choice(["a", "b"], 300), "y": 1.0})
RATES = ("null_value_rate", "data_type_error_rate", "out_of_bounds_rate")


def rows(count: int) -> dict[str, list]:
    x = [None if RANDOM.random() < 0.1 else float(value) for value in RANDOM.normal(0, 2, count)]
    return {"x": x, "kind": RANDOM.choice(["a", "b", "new"], count).tolist()}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of the log that were read for their rows."""
    found: list[Path] = []
    really = log.File.read

    def read(file: log.File) -> pl.DataFrame:
        found.append(file.path)
        return really(file)

    monkeypatch.setattr(log.File, "read", read)
    return found


def profiled(watch: Watch) -> list[Path]:
    return sorted(paths.endpoint_log(watch.house.home, "prod", "bikes").rglob("*.profile"))


def test_each_file_is_read_once_for_all_windows_that_it_lies_in(watch: Watch, reads: list[Path]) -> None:
    watch.training(TRAINING)
    hour = timedelta(hours=1)
    parts = [rows(200), rows(300), rows(100)]
    for number, part in enumerate(parts):
        watch.answered(part, [0.0] * len(part["x"]), start=NOW - (3 - number) * 5 * hour)
    watch.answered(rows(50), [0.0] * 50, status=500)
    watch.put(QUALITY)
    run = watch.run()
    every = pl.concat([pl.DataFrame(part) for part in parts])
    for column in ("x", "kind"):
        for metric in RATES:
            wanted = signals.evaluate(metric, TRAINING[column], every[column]).value
            assert watch.value(run, "quality", metric, column) == wanted
    assert watch.signal(run, "quality")["production_rows"] == 600
    assert {each["column"] for each in watch.signal(run, "quality")["metrics"]} == {"x", "kind"}, "no target"
    assert len(reads) == 4
    assert len(profiled(watch)) == 4

    again = watch.run(id_="again")
    assert watch.signal(again, "quality")["metrics"] == watch.signal(run, "quality")["metrics"]
    assert len(reads) == 4, "the second run adds up what the first kept"

    later = watch.run(NOW + timedelta(hours=9, seconds=61), "later")
    # The window begins 61 seconds into the first file, whose rows are one a second.
    ends = pl.concat([pl.DataFrame(parts[0]).slice(61), *(pl.DataFrame(part) for part in parts[1:])])
    assert watch.signal(later, "quality")["production_rows"] == 539
    found = watch.value(later, "quality", "null_value_rate", "x")
    assert found == pytest.approx(ends["x"].null_count() / ends.height, abs=1e-5)
    assert len(reads) == 5, "only the file that the window cuts"


def test_profiles_of_another_reference_or_that_are_broken_are_made_anew(watch: Watch, reads: list[Path]) -> None:
    watch.training(TRAINING)
    part = rows(80)
    watch.answered(part, [0.0] * 80)
    watch.put(QUALITY)
    first = watch.run()
    (kept,) = profiled(watch)
    kept.write_bytes(kept.read_bytes()[:-20])
    assert watch.signal(watch.run(id_="cut"), "quality")["metrics"] == watch.signal(first, "quality")["metrics"]
    assert len(reads) == 2
    watch.training(TRAINING.with_columns(pl.col("x") * 0.1))
    run = watch.run(id_="other")
    wanted = signals.evaluate("out_of_bounds_rate", TRAINING["x"] * 0.1, pl.Series(part["x"])).value
    assert watch.value(run, "quality", "out_of_bounds_rate", "x") == wanted
    assert len(profiled(watch)) == 2


DRIFT = """drift:
  type: data_drift
  {reference}
  metric_thresholds:
    numerical: {{normalized_wasserstein_distance: 0.1, jensen_shannon_distance: 0.2, population_stability_index: 9}}
    categorical: {{jensen_shannon_distance: 0.1, population_stability_index: 9, pearsons_chi_squared_test: 0.01}}
answers:
  type: prediction_drift
  {reference}
  metric_thresholds: {{numerical: {{normalized_wasserstein_distance: 0.1}}}}
tests:
  type: data_drift
  {reference}
  metric_thresholds: {{numerical: {{two_sample_kolmogorov_smirnov_test: 0.01}}}}
""".format(reference=REFERENCE.replace("\n", "\n  ").replace("        ", "    "))


def test_drift_of_windows_too_large_to_read_is_that_of_profiles_made_when_the_data_arrived(
    watch: Watch, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = TRAINING.with_columns(y=pl.Series(RANDOM.normal(3, 1, 300)))
    watch.training(training)
    parts = [{"x": RANDOM.normal(0.5, 1, 150).tolist(), "kind": ["a"] * 100 + ["b"] * 50} for _ in range(3)]
    answers = RANDOM.normal(3.5, 1, 150).tolist()
    for part in parts:
        watch.answered(part, answers, start=NOW - timedelta(hours=6))
    watch.put(DRIFT)
    rows_ = watch.run(id_="rows")
    assert not profiled(watch), "few rows are read, which gives the very numbers"

    monkeypatch.setattr(profile_signals, "ROWS", 100)
    later = dataclasses.replace(watch.house.contexts, now=lambda: NOW)
    assert arrivals.profile(later) == 6, "inputs and answers of three files"
    assert arrivals.profile(later) == 0
    reads.clear()
    found = watch.run(id_="profiles")
    drift = watch.signal(found, "drift")
    assert not reads
    assert "read off profiles" in drift["reason"] and drift["status"] == "alert" and drift["production_rows"] == 450
    every = pl.concat([pl.DataFrame(part) for part in parts])
    chi = ("pearsons_chi_squared_test", "kind")
    counts = [training["kind"].value_counts().sort("kind")["count"], every["kind"].value_counts().sort("kind")["count"]]
    expected = stats.chisquare(counts[1], counts[0] / counts[0].sum() * 450).pvalue
    assert watch.value(found, "drift", *chi) == pytest.approx(expected)
    for metric in ("jensen_shannon_distance", "population_stability_index", "pearsons_chi_squared_test"):
        assert watch.value(found, "drift", metric, "kind") == watch.value(rows_, "drift", metric, "kind")
    moved = stats.wasserstein_distance(training["x"], every["x"]) / training["x"].std()
    assert watch.value(found, "drift", "normalized_wasserstein_distance", "x") == pytest.approx(moved, abs=0.02)
    assert drift["moved"][0]["column"] in ("x", "kind")
    told = watch.value(found, "answers", "normalized_wasserstein_distance", "prediction")
    assert told == pytest.approx(stats.wasserstein_distance(training["y"], answers) / training["y"].std(), abs=0.02)
    test = ("two_sample_kolmogorov_smirnov_test", "x")
    assert watch.value(found, "tests", *test) == watch.value(rows_, "tests", *test), "rows are read where needed"
