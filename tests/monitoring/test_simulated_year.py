"""A year of the demonstration's data: quiet while nothing changes, and an alert in the first window after it did.

Real days of Washington's bicycles in an order that makes them exchangeable: the days of 2012 are dealt at random into
those that the model learns from, which are the reference, and those that production draws its months from. In such a
year nothing drifts, by construction. In a drifting one the days come from 2014 from its seventh month on: the city has
taken to bicycles, the questions are the same ones. What is watched, and the thresholds, are the example's own.

``YEARS=100 pytest -s tests/monitoring/test_simulated_year.py`` plays so many control years and tells the rate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy
import polars as pl
import pytest
from monitoring_watch import Watch
from sklearn.ensemble import HistGradientBoostingRegressor

from doubleloop.base import errors
from doubleloop.demo import data
from doubleloop.monitoring import commands
from doubleloop.specs import documents

MONITOR = Path(__file__).parents[2] / "examples" / "bikes" / "monitor.yml"
FEATURES = list(data.FEATURES)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS, DAYS, DRIFTS = 12, 30, 6
YEARS = int(os.environ.get("YEARS", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class City:
    """Hours of ``known`` are the reference, those of ``pool`` and ``later`` what production may be asked."""

    known: pl.DataFrame
    pool: list[pl.DataFrame]
    later: list[pl.DataFrame]
    model: Any


@pytest.fixture(scope="module")
def city() -> City:
    cache = Path(os.environ.get("DOUBLELOOP_TEST_CACHE", "~/.cache/doubleloop/demo")).expanduser()
    try:
        hours = data.read(data.fetch_bikes(cache, lambda done, total: None))
    except errors.Unavailable as error:
        pytest.skip(f"the data set cannot be had: {error}")
    days, later = _days(hours, 2012), _days(hours, 2014)
    order = numpy.random.default_rng(2012).permutation(len(days))
    known = pl.concat(days[place] for place in order[::2])
    model = HistGradientBoostingRegressor(random_state=0).fit(
        known.select(FEATURES).to_numpy(), known["count"].to_numpy()
    )
    return City(known, [days[place] for place in order[1::2]], later, model)


def _days(hours: pl.DataFrame, year: int) -> list[pl.DataFrame]:
    """The whole days of a year, one frame each."""
    of_year = hours.filter(pl.col("ts").dt.year() == year).with_columns(pl.col("ts").dt.date().alias("day"))
    return [day for day in of_year.partition_by("day", maintain_order=True) if day.height == 24]


def months(city: City, seed: int, drifts: int = MONTHS) -> list[pl.DataFrame]:
    """A year's months: each day of the calendar is a real one of its weekday, drawn with replacement; from month
    ``drifts`` on from the later ones."""
    draw = numpy.random.default_rng(seed)
    year = []
    for month in range(MONTHS):
        days = city.later if month >= drifts else city.pool
        of_weekday = [[day for day in days if day["weekday"][0] == weekday] for weekday in range(7)]
        calendar = [of_weekday[(month * DAYS + day) % 7] for day in range(DAYS)]
        year.append(pl.concat(some[draw.integers(0, len(some))] for some in calendar))
    return year


def play(watch: Watch, city: City, year: list[pl.DataFrame]) -> list[list[Any]]:
    """The metrics that crossed their thresholds, by month, of runs at each month's end when its true values are in."""
    text = MONITOR.read_text().replace("azureml:bikes-demand:blue", "azureml:bikes:blue")
    text = text.replace("azureml:bikes-data@production", "azureml:training@latest").replace("bikes-monitor", "watch")
    watch.training(city.known.select([*FEATURES, "count"]))
    with watch.house.write("linus", "prod") as ctx:
        commands.put(ctx, documents.parse(text, "monitor.yml", watch.house.home))
    found = []
    for number, month in enumerate(year):
        begins = BEGIN + timedelta(days=DAYS * number)
        inputs = {name: month[name].to_list() for name in FEATURES}
        ids = watch.answered(inputs, city.model.predict(month.select(FEATURES).to_numpy()).tolist(), start=begins)
        watch.told(dict(zip(ids, map(float, month["count"].to_list()), strict=True)))
        run = watch.run(begins + timedelta(days=DAYS))
        assert {signal["status"] for signal in run.signals} <= {"ok", "alert"}, run.signals
        checked = [(signal, metric) for signal in run.signals for metric in signal["metrics"]]
        assert len(checked) > len(FEATURES)
        found.append(
            [(signal["signal"], metric["metric"], metric["column"], round(metric["value"], 3))
             for signal, metric in checked if metric["alert"] and signal["status"] == "alert"]
        )  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(YEARS))
def test_a_year_without_drift_raises_no_alert(watch: Watch, city: City, seed: int) -> None:
    found = play(watch, city, months(city, seed))
    print(f"year {seed}: {sum(map(bool, found))} of {MONTHS} months with an alert {[each for each in found if each]}")
    assert not any(found)
    assert not watch.alerts() and not watch.facts("monitor.alert")


def test_the_city_takes_to_bicycles_and_the_first_month_of_it_is_an_alert(watch: Watch, city: City) -> None:
    found = play(watch, city, months(city, 0, DRIFTS))
    assert not any(found[:DRIFTS])
    assert all(found[DRIFTS:])
    assert {(signal, metric) for signal, metric, _, _ in found[DRIFTS]} == {("performance", "mae")}
    first = min(watch.alerts(), key=lambda alert: alert.window_end)
    assert (first.signal, first.metric) == ("performance", "mae")
    assert first.window_start == BEGIN + timedelta(days=DAYS * DRIFTS)
    assert first.value > first.threshold == 90
