"""The arithmetic of the report on serving, on samples whose ratios can be seen with the eye."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.serving import bars, catalog, figures, memory, ours, report, soak

ONE, SIXTEEN = figures.Cell(1, 1), figures.Cell(1, 16)
NAMES = bars.Names("doubleloop", "doubleloop-native", "noop", ("slow", "quick"))


def sample(server: str, cell: figures.Cell, number: int, rate: float, **more: float) -> figures.Sample:
    values = {"p50": 1.0, "p99": 3.0, "cpu": 0.5, **more}
    return figures.Sample(server, cell, number, rate, values["p50"], values["p99"], values["cpu"], int(rate))


def rates(server: str, cell: figures.Cell, *each: float) -> list[figures.Sample]:
    return [sample(server, cell, number, rate) for number, rate in enumerate(each)]


def test_percentiles_are_values_that_were_measured():
    hundred = [float(each) for each in range(1, 101)]
    assert figures.percentile(hundred, 0.5) == 50.0
    assert figures.percentile(hundred, 0.99) == 99.0
    assert figures.percentile(hundred, 1.0) == 100.0
    assert figures.percentile([7.0], 0.99) == 7.0
    assert figures.percentile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert figures.percentile([], 0.5) is None


def test_a_figure_is_a_median_with_its_range_over_the_rounds_that_have_it():
    assert figures.figure([3.0, None, 1.0, 10.0]) == figures.Figure(3.0, 1.0, 10.0, 3)
    assert figures.figure([1.0, 2.0]) == figures.Figure(1.5, 1.0, 2.0, 2)
    assert figures.figure([None]) is None


def test_ratios_compare_what_was_measured_in_the_same_round():
    """The machine was ten times slower in the second round: each ratio is 4 or 5, those of medians would not be."""
    samples = rates("doubleloop", SIXTEEN, 400, 40, 500) + rates("quick", SIXTEEN, 100, 10, 100)
    assert figures.ratio(samples, "doubleloop", "quick", SIXTEEN) == figures.Figure(4.0, 4.0, 5.0, 3)
    assert figures.ratio(samples, "doubleloop", "quick", ONE) is None


def test_a_round_without_its_counterpart_is_no_ratio():
    samples = rates("doubleloop", ONE, 400, 400) + rates("quick", ONE, 100) + rates("slow", ONE, 0, 0)
    assert figures.ratio(samples, "doubleloop", "quick", ONE) == figures.Figure(4.0, 4.0, 4.0, 1)
    assert figures.ratio(samples, "doubleloop", "slow", ONE) is None


def measured(plan: float = 5200.0, native: float = 450.0, alone: float = 90.0) -> list[figures.Sample]:
    """``quick`` is the best peer at 16 connections (100/s), ``slow`` at one (80/s)."""
    return [
        *rates("doubleloop", SIXTEEN, plan), *rates("doubleloop-native", SIXTEEN, native),
        *rates("noop", SIXTEEN, 8000), *rates("quick", SIXTEEN, 100), *rates("slow", SIXTEEN, 50),
        *rates("doubleloop-native", ONE, alone), *rates("quick", ONE, 70), *rates("slow", ONE, 80),
        sample("doubleloop", bars.HALF, 0, 2500, p50=2.0, p99=9.0),
    ]  # fmt: skip


def test_the_bars_are_judged_against_the_best_peer_of_each_load():
    judged = bars.judge(measured(), NAMES, started=2.5, memory=40.0)
    assert [bar.value for bar in judged] == [52.0, 0.65, 4.5, 90 / 80, 4.5, 2.5, 40.0]
    assert all(bar.passed for bar in judged)


def test_bars_that_are_missed_fail_and_those_that_were_not_measured_do_not_pass():
    judged = bars.judge(measured(plan=3000.0, native=399.0, alone=79.0), NAMES, started=3.5, memory=None)
    assert [bar.passed for bar in judged] == [False, False, False, False, True, False, None]
    assert [bar.passed for bar in bars.judge([], NAMES, None, None)] == [None] * 7


def test_the_report_shows_ratios_verdicts_and_who_was_left_out(tmp_path: Path):
    entries = [*ours.ENTRIES, *(each for each in catalog.PEERS if each.name in ("fastapi", "kserve")), catalog.ECHO]
    names = bars.Names(ours.PLAN, ours.NATIVE, ours.CEILING, ("fastapi", "kserve"))
    samples = [
        *rates(ours.PLAN, SIXTEEN, 6000, 6600, 5400), *rates("fastapi", SIXTEEN, 100, 110, 100),
        *rates(catalog.ECHO.name, SIXTEEN, 10_000, 10_000, 10_000),
    ]  # fmt: skip
    run = report.Run(
        entries, names, ["a condition"], samples, {"kserve": "cannot be installed: no such wheel"},
        starts={ours.PLAN: [2.0, 4.0, 2.5]}, deployment=memory.Idle(250.0, 262.0, 20.0, 25.0),
    )  # fmt: skip
    report.write(run, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| one row, 16 connections: rate by the best peer's | 60× | ≥ 50× | passed |" in text
    assert "| Doubleloop | – | **60 [54–60]** · 6,000/s | – |" in text
    assert "| start to first answer, warm | 2.5 s | ≤ 3 s | passed |" in text
    assert "17 MB above the model" in text
    assert "kserve was left out**: cannot be installed: no such wheel" in text
    assert "6,000/s is above half of what the load generator can send (10,000/s)" in text
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["bars"][0]["value"] == 60.0 and document["bars"][0]["passed"] is True
    picture = ElementTree.parse(tmp_path / "rates.svg").getroot()
    assert "60×" in [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_memory_is_flat_when_an_hours_requests_add_little():
    steady = [(number * 1000, 300.0 + (50.0 if number < 3 else 60.0) + number % 2) for number in range(1, 21)]
    found = soak.growth(steady, hour=20_000)
    assert found is not None and found.flat and abs(found.gained) < 2.0
    leaking = [(number * 1000, 300.0 + 2.0 * number) for number in range(1, 21)]
    found = soak.growth(leaking, hour=40_000)
    assert found is not None and not found.flat
    assert (round(found.held, 6), round(found.gained, 6)) == (310.0, 80.0)
    assert soak.growth(leaking[:2], hour=40_000) is None
