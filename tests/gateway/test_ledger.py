"""Counts of an endpoint's requests, kept on disk in minutes and hours."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from doubleloop.gateway.desired import Slo
from doubleloop.gateway.ledger import HOUR, MINUTE, Ledger
from doubleloop.gateway.objectives import Objective

SLO = Slo(window_seconds=28 * 86400, availability=99, latency=90, latency_threshold_ms=100)
NOW = 1_800_000_000.0  # the beginning of an hour
DAY = 86400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop" / "bikes.jsonl"


def told(ledger: Ledger, now: float) -> dict[str, tuple[int, int]]:
    return {each.kind: (each.valid, each.consumed) for each in ledger.objectives(now)}


def test_which_requests_count_and_which_are_bad(path: Path) -> None:
    ledger = Ledger(path, SLO, NOW)
    for status, milliseconds in (
        (200, 50), (200, 100), (200, 100.1), (201, 400), (302, 1), (400, 1), (401, 1), (404, 1), (413, 1),
        (429, 900), (500, 10), (502, 10), (503, 0), (504, 5000),
    ):  # fmt: skip
        ledger.add(status, milliseconds, NOW)
    assert told(ledger, NOW) == {"availability": (10, 5), "latency": (5, 2)}


def test_what_was_counted_is_there_after_a_kill_and_counting_goes_on_in_the_same_minute(path: Path) -> None:
    ledger = Ledger(path, SLO, NOW)
    ledger.add(200, 5, NOW)
    ledger.save(NOW)
    ledger.add(500, 5, NOW + 1)
    ledger.save(NOW + 1)
    ledger.add(200, 5, NOW + 2)  # not saved: lost
    again = Ledger(path, SLO, NOW + 3)
    assert told(again, NOW + 3) == {"availability": (2, 1), "latency": (1, 0)}
    again.add(200, 500, NOW + 4)
    again.save(NOW + 4)
    path.write_bytes(path.read_bytes() + b"[1800000060,60,5")  # the power went in the middle of a line
    assert told(Ledger(path, SLO, NOW + 5), NOW + 5) == {"availability": (3, 1), "latency": (2, 1)}


def rates(found: list[Objective]) -> dict[str, float | None]:
    return dict(found[0].burn_rates)


def test_windows_end_now(path: Path) -> None:
    ledger = Ledger(path, SLO, NOW - 4 * DAY)
    for ago, status in ((4 * DAY, 500), (2 * DAY, 500), (5 * HOUR, 500), (30 * MINUTE, 500), (60, 200)):
        ledger.add(status, 5, NOW - ago)
        ledger.save(NOW - ago)
    assert told(ledger, NOW)["availability"] == (5, 4)
    assert rates(ledger.objectives(NOW)) == {
        "5m": 0.0, "30m": pytest.approx(50), "1h": pytest.approx(50), "6h": pytest.approx(200 / 3),
        "3d": pytest.approx(75)
    }  # fmt: skip
    assert rates(ledger.objectives(NOW + 6 * MINUTE))["5m"] is None


def test_four_weeks_of_minutes_lose_nothing_and_stay_small(path: Path) -> None:
    """Against a plain list of all that was counted; a restart in between."""
    chance = random.Random(3)
    ledger = Ledger(path, SLO, NOW)
    events: list[tuple[float, bool]] = []
    now = NOW
    for step in range(2500):
        now += chance.uniform(0, 2400)
        status = chance.choice([200, 200, 200, 500])
        ledger.add(status, 5, now)
        ledger.save(now)
        events.append((now, status == 500))
        if step == 1200:
            ledger = Ledger(path, SLO, now)
    assert now - NOW > 30 * DAY, "older ones have fallen out of the window"
    for found, window, grain in (
        (told(ledger, now)["availability"], SLO.window_seconds, HOUR),
        (told(Ledger(path, SLO, now), now)["availability"], SLO.window_seconds, HOUR),
    ):
        # The window begins at the beginning of an hour: not later than it says, and an hour before at most.
        exact = sum(at > now - window for at, _ in events), sum(bad for at, bad in events if at > now - window)
        more = (
            sum(at > now - window - grain for at, _ in events),
            sum(bad for at, bad in events if at > now - window - grain),
        )
        assert exact[0] <= found[0] <= more[0] and exact[1] <= found[1] <= more[1]
    assert len(path.read_bytes().splitlines()) < 1 + 28 * 24 + 7 * 60 + 120


def test_another_threshold_begins_the_latency_anew_and_keeps_the_availability(path: Path) -> None:
    ledger = Ledger(path, SLO, NOW)
    ledger.add(200, 150, NOW)
    ledger.add(503, 1, NOW)
    stricter = Slo(availability=99, latency=90, latency_threshold_ms=200)
    ledger.follow(stricter, NOW)
    assert told(ledger, NOW) == {"availability": (2, 1), "latency": (0, 0)}
    ledger.add(200, 150, NOW)
    ledger.save(NOW)
    assert told(Ledger(path, stricter, NOW), NOW) == {"availability": (3, 1), "latency": (1, 0)}
    assert told(Ledger(path, SLO, NOW), NOW) == {"availability": (3, 1), "latency": (0, 0)}


def test_an_endpoint_without_objectives_is_counted_for_those_that_come(path: Path) -> None:
    ledger = Ledger(path, None, NOW)
    ledger.add(500, 5, NOW)
    assert ledger.objectives(NOW) == []
    ledger.follow(SLO, NOW)
    assert told(ledger, NOW) == {"availability": (1, 1), "latency": (0, 0)}


def test_a_disk_that_refuses_and_a_file_that_is_none_stop_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_text("no counts\n")
    ledger = Ledger(path, SLO, NOW)
    assert "begin anew" in caplog.text
    path.unlink()
    path.mkdir()  # nothing can be written there
    ledger.add(200, 5, NOW)
    ledger.save(NOW)
    assert "cannot be written" in caplog.text
    assert told(ledger, NOW)["availability"] == (1, 0)
    path.rmdir()
    ledger.save(NOW)
    assert told(Ledger(path, SLO, NOW), NOW)["availability"] == (1, 0)
