"""The arithmetic of the batch benchmark's report, on samples made by hand."""

from __future__ import annotations

import pytest

from benchmarks.batch import bars
from benchmarks.batch.bars import Sample


def samples(ours: float = 10.0, total: float = 100.0, memory: float = 500.0) -> list[bars.Sample]:
    return [
        Sample("doubleloop", -1, 25, 4.0, 5.0, 480.0, 25.0),
        Sample("pandas", 0, 100, 60.0, 60.0, 300.0, 100.0), Sample("doubleloop", 0, 100, ours, 18.0, memory, total),
        Sample("pandas", 1, 100, 70.0, 66.0, 300.0, 100.0), Sample("doubleloop", 1, 100, 10.0, 18.0, 490.0, 100.0),
        Sample("pandas x 2", 1, 100, 35.0, 66.0, 600.0, 100.0),
    ]  # fmt: skip


def test_ratios_are_made_within_a_round_and_the_median_is_judged() -> None:
    found = {bar.what: bar for bar in bars.judged(samples())}
    assert bars.ratios(samples(), "pandas") == [6.0, 7.0]
    assert bars.ratios(samples(), "pandas x 2") == [3.5]
    assert found["rows a second by those of pandas and scikit-learn"].found == 6.5
    assert found["memory by that of a quarter of the rows"].found == pytest.approx(495 / 480)
    assert all(bar.passed for bar in found.values())
    text = bars.report(samples(), 2)
    assert "| pandas | 100 | 65.0 | 63.0 | 300 | 6.5 (6.0 to 7.0) |" in text


def test_a_bar_that_is_missed_says_so() -> None:
    assert [bar.passed for bar in bars.judged(samples(ours=30.0))] == [False, True, True, True]
    assert [bar.passed for bar in bars.judged(samples(memory=1001.0))] == [True, False, False, True]
    assert [bar.passed for bar in bars.judged(samples(total=100.001))] == [True, True, True, False]
    assert "FAILED" in bars.report(samples(total=100.001), 2)


def test_what_was_cut_off_is_not_judged() -> None:
    assert bars.judged(samples()[:1]) == []
