"""The arithmetic of the monitoring benchmark's report, and a small run of what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.monitoring import __main__ as program
from benchmarks.monitoring import bars, plot
from benchmarks.monitoring.bars import Sample


def samples(profiles: float = 2.0, growth: float = 1.0, moved: float = 0.5) -> list[Sample]:
    return [
        Sample("doubleloop", "decode", 0, 100, 1.0, 1.0, 200.0),
        Sample("doubleloop", "profiles", 0, 100, profiles, profiles, 200.0),
        Sample("doubleloop", "exact", 0, 100, 4.0, 4.0, 200.0, {"mae:x": 0.5, "p:x": 1e-14}),
        Sample("scipy", "exact", 0, 100, 40.0, 40.0, 900.0, {"mae:x": moved, "p:x": 3e-13, "other:x": 1.0}),
        Sample("evidently", "exact", 0, 10, 60.0, 60.0, 900.0), Sample("doubleloop", "exact", 0, 10, 1.0, 1.0, 200.0),
        Sample("whylogs", "profiles", 0, 100, 30.0, 30.0, 900.0),
        Sample("doubleloop", "stream", 0, 250, 5.0, 5.0, 200.0),
        Sample("doubleloop", "stream", 0, 1000, 20.0, 20.0, 200.0 * growth),
        Sample("doubleloop", "merge", 0, 5, 0.8, 0.8, 500.0),
    ]  # fmt: skip


def test_each_is_judged_beside_what_had_the_same_rows_in_the_same_round() -> None:
    found = {bar.what: bar for bar in bars.judged(samples())}
    assert found["profiles: processor time by that of decoding the same files"].found == 2.0
    assert found["exact: processor time by that of decoding the same files"].found == 4.0
    assert found["exact: processor time of evidently by ours, same rows"].found == 60.0
    assert found["exact: processor time of scipy by ours, same rows"].found == 10.0
    assert found["profiles: processor time of whylogs by ours, same rows"] == bars.Bar(
        "profiles: processor time of whylogs by ours, same rows", 15.0, ">= 20", False
    )
    assert found["memory at 1,000 rows by that at 250"].passed
    assert found["largest relative difference from scipy's values"].found == 0.0, "tiny p-values are equal"
    assert "| evidently 0.7 | exact | 10 | 60.00 | 60.00 | 900 | 60.0 (60.0 to 60.0) |" in bars.report(
        samples(), {"nannyml": "it did not start"}, {"evidently": "0.7"}
    )
    assert "evidently, exact" not in plot.costs(samples()), "nothing was decoded at its number of rows"
    assert "whylogs, profiles, 100 rows" in plot.costs(samples())


def test_a_bar_that_is_missed_says_so() -> None:
    missed = {bar.what for bar in bars.judged(samples(3.5, 1.2, 0.6)) if not bar.passed}
    assert "profiles: processor time by that of decoding the same files" in missed
    assert "memory at 1,000 rows by that at 250" in missed
    assert "largest relative difference from scipy's values" in missed
    assert "FAILED" in bars.report(samples(3.5), {}, {})
    assert bars.judged(samples()[1:2]) == []


def test_a_small_run_measures_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    files = tuple(map(str, program.files(12_000)))
    decoded = program.run("doubleloop", "decode", 12_000, 0, *files)
    assert decoded.values == {"rows": 24_000}
    exact = program.run("doubleloop", "exact", 12_000, 0, *files)
    profiled = program.run("doubleloop", "profiles", 12_000, 0, *files)
    assert len(exact.values) == 20 * 4 + 10 * 3
    for name in ("jensen_shannon_distance:hour", "population_stability_index:text_5"):
        assert profiled.values[name] == pytest.approx(exact.values[name], rel=0.2), "fewer rows: none is left out"
    assert exact.cpu > 0
    assert exact.memory > 20
    with pytest.raises(RuntimeError, match="doubleloop ended with 1"):
        program.run("doubleloop", "exact", 12_000, 0, "nowhere.parquet", "nowhere.parquet")
