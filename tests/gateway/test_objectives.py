"""Error budgets and burn rates, against the numbers of Google's Site Reliability Workbook (sre.google/workbook)."""

from __future__ import annotations

import pytest

from doubleloop.gateway import objectives
from doubleloop.gateway.desired import Slo
from doubleloop.gateway.objectives import Count

# Chapter 2: an API over four weeks.
REQUESTS, SUCCESSFUL = 3_663_253, 3_557_865
DAY = 86400.0


@pytest.mark.parametrize(("target", "failures"), [(97, 109_897), (90, 366_325), (99, 36_632)])
def test_error_budgets_over_four_weeks_are_those_of_table_2_4(target: float, failures: int) -> None:
    assert int(objectives.error_budget(REQUESTS, target)) == failures


@pytest.mark.parametrize(("errors", "percent"), [(14_066, 13), (72_000, 65)])
def test_what_an_incident_uses_of_the_budget_is_as_in_chapter_2(errors: int, percent: int) -> None:
    found = objectives.assess("availability", Slo(availability=97), Count(REQUESTS, errors), {})
    assert found is not None and found.consumed_percent is not None
    # The workbook cuts 12.8 to 13 and 65.5 to 65.
    assert found.consumed_percent == pytest.approx(percent, abs=0.6)


def test_the_availability_that_chapter_2_measured() -> None:
    found = objectives.assess("availability", Slo(availability=97), Count(REQUESTS, REQUESTS - SUCCESSFUL), {})
    assert found is not None
    assert f"{found.compliance:.3f}" == "97.123"
    assert (found.met, found.consumed, int(found.budget)) == (True, 105_388, 109_897)
    assert int(found.remaining) == 109_897 - 105_388


# Table 5-4: burn rate, error rate of a 99.9 % objective, time until a budget of 30 days is used up.
@pytest.mark.parametrize(
    ("rate", "bad_of_100_000", "seconds"),
    [(1, 100, 30 * DAY), (2, 200, 15 * DAY), (10, 1000, 3 * DAY), (1000, 100_000, 43.2 * 60)],
)
def test_burn_rates_and_times_to_exhaustion_are_those_of_chapter_5(
    rate: float, bad_of_100_000: int, seconds: float
) -> None:
    assert objectives.burn_rate(Count(100_000, bad_of_100_000), 99.9) == pytest.approx(rate)
    assert objectives.exhausted_after(rate, 30 * DAY) == pytest.approx(seconds)


# The alerts that the workbook recommends for 30 days: 2 % in an hour, 5 % in six, 10 % in three days.
@pytest.mark.parametrize(("share", "window", "rate"), [(0.02, "1h", 14.4), (0.05, "6h", 6), (0.10, "3d", 1)])
def test_burn_rates_to_alert_at_are_those_of_chapter_5(share: float, window: str, rate: float) -> None:
    within = objectives.BURN_WINDOWS[window]
    assert objectives.burn_rate_that_uses(share, within, 30 * DAY) == pytest.approx(rate)


def test_a_latency_objective_by_hand() -> None:
    slo = Slo(latency=99, latency_threshold_ms=250)
    recent = {"5m": Count(100, 3), "1h": Count(0, 0)}
    found = objectives.assess("latency", slo, Count(2000, 30), recent)
    assert found == objectives.Objective(
        kind="latency", target=99, threshold_ms=250, valid=2000, compliance=98.5, met=False, budget=20.0, consumed=30,
        remaining=-10.0, consumed_percent=150.0, burn_rates={"5m": 3.0, "1h": None},
    )  # fmt: skip


def test_without_requests_or_objective_nothing_is_claimed() -> None:
    found = objectives.assess("availability", Slo(availability=99.9), Count(), {"5m": Count()})
    assert found is not None
    assert (found.compliance, found.met, found.consumed_percent) == (None, None, None)
    assert (found.budget, found.burn_rates) == (0.0, {"5m": None})
    assert objectives.assess("latency", Slo(availability=99.9), Count(5, 1), {}) is None
