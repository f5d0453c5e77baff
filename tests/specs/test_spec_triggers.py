"""When schedules fire next: against dateutil's recurrence rules, and by hand around clock changes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.specs import documents, timezones, triggers
from doubleloop.specs.kinds import schedules, signal_data

NOW = datetime(2024, 5, 15, 12, 30, tzinfo=UTC)
DAYS = {"monday": rrule.MO, "wednesday": rrule.WE, "friday": rrule.FR, "sunday": rrule.SU}


def trigger(**values: Any) -> triggers.Trigger:
    kind = schedules.CronTrigger if "expression" in values else schedules.RecurrenceTrigger
    return kind.model_validate({"type": "cron" if "expression" in values else "recurrence", **values})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def fires(found: triggers.Trigger, after: datetime, count: int) -> list[datetime]:
    times: list[datetime] = []
    for _ in range(count):
        moment = triggers.next_fire(found, after)
        if moment is None:
            break
        times.append(moment)
        after = moment
    return times


@pytest.mark.parametrize("interval", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("frequency", "rule", "pattern", "by"),
    [
        ("minute", rrule.MINUTELY, None, {}),
        ("hour", rrule.HOURLY, None, {}),
        ("day", rrule.DAILY, None, {}),
        ("day", rrule.DAILY, {"hours": [3, 17], "minutes": [0, 45]}, {"byhour": (3, 17), "byminute": (0, 45)}),
        ("week", rrule.WEEKLY, None, {}),
        (
            "week",
            rrule.WEEKLY,
            {"hours": 6, "minutes": 30, "week_days": ["monday", "Friday", "sunday"]},
            {"byhour": 6, "byminute": 30, "byweekday": [rrule.MO, rrule.FR, rrule.SU]},
        ),
        (
            "month",
            rrule.MONTHLY,
            {"hours": [0], "minutes": [5], "month_days": [1, 15, 31]},
            {"byhour": 0, "byminute": 5, "bymonthday": (1, 15, 31)},
        ),
    ],
)
def test_recurrences_agree_with_dateutil(
    frequency: str, rule: int, pattern: dict | None, by: dict[str, Any], interval: int
) -> None:
    start = datetime.fromisoformat("2024-01-10T08:20:00")
    found = trigger(frequency=frequency, interval=interval, schedule=pattern, start_time=start.isoformat())
    reference = rrule.rrule(rule, dtstart=start, interval=interval, bysecond=0, **by)
    expected = [
        moment.replace(tzinfo=UTC) for moment in itertools.islice(reference.xafter(NOW.replace(tzinfo=None)), 40)
    ]
    assert fires(found, NOW, 40) == expected


def test_a_recurrence_without_start_counts_from_a_fixed_monday() -> None:
    weekly = trigger(frequency="week", interval=2, schedule={"hours": 9, "minutes": 0, "week_days": "tuesday"})
    times = fires(weekly, NOW, 3)
    assert all(moment.weekday() == 1 and moment.hour == 9 for moment in times)
    assert {b - a for a, b in itertools.pairwise(times)} == {timedelta(days=14)}
    assert (times[0] - datetime(1970, 1, 5, tzinfo=UTC)).days % 14 == 1
    assert fires(weekly, times[0] - timedelta(hours=1), 1) == [times[0]]


def test_start_and_end_bound_a_trigger() -> None:
    found = trigger(frequency="day", interval=1, start_time="2024-06-01T10:00:00", end_time="2024-06-03T10:00:00")
    assert fires(found, NOW, 9) == [at(f"2024-06-0{day}T10:00:00+00:00") for day in (1, 2, 3)]
    cron = trigger(expression="0 10 * * *", start_time="2024-06-01T10:00:00Z", end_time="2024-06-02T09:59:59Z")
    assert fires(cron, NOW, 9) == [at("2024-06-01T10:00:00+00:00")]


def test_next_is_later_than_after_even_on_the_very_moment() -> None:
    daily = trigger(expression="30 12 * * *")
    assert triggers.next_fire(daily, NOW) == NOW + timedelta(days=1)
    assert triggers.next_fire(daily, NOW - timedelta(microseconds=1)) == NOW


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("15 10 * * 1", "2024-05-20T10:15:00+00:00"),
        ("*/10 * * * *", "2024-05-15T12:40:00+00:00"),
        ("0 0 1 1 *", "2025-01-01T00:00:00+00:00"),
        ("0 12 29 2 *", "2028-02-29T12:00:00+00:00"),
        ("0 9 * * MON-FRI", "2024-05-16T09:00:00+00:00"),
        ("0 0 13 * 5", "2024-05-17T00:00:00+00:00"),  # day of month or day of week, as in every cron
    ],
)
def test_cron_expressions(expression: str, expected: str) -> None:
    assert triggers.next_fire(trigger(expression=expression), NOW) == at(expected)


FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    fields = []
    for low, high in FIELDS:
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high))
        shapes = ["*", str(first), f"{first}-{last}", f"*/{step}", f"{first}-{last}/{step}", f"{first},{last}"]
        fields.append(draw(st.sampled_from(shapes)))
    return " ".join(fields)


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_every_expression_that_is_accepted_can_be_reckoned(expression: str) -> None:
    moment = triggers.next_fire(trigger(expression=expression), NOW)
    assert moment is None or (moment > NOW and moment.second == 0)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "5-1 * * * *", "*/0 * * * *", "1;2 * * * *", "* * * foo *", "-1 * * * *", "1- * * * *", "@daily"],
)  # fmt: skip
def test_an_expression_that_is_none_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not a cron expression"):
        trigger(expression=expression)


def test_a_day_that_never_comes_is_none() -> None:
    assert triggers.next_fire(trigger(expression="0 0 30 2 *"), NOW) is None
    pattern = {"hours": 0, "minutes": 0, "month_days": 31}
    february = trigger(frequency="month", interval=12, schedule=pattern, start_time="2024-02-01T00:00:00")
    assert triggers.next_fire(february, NOW) is None


@pytest.mark.parametrize("zone", ["Pacific Standard Time", "pacific standard time", "America/Los_Angeles"])
@pytest.mark.parametrize(
    "values",
    [
        {"expression": "30 2 * * *"},
        {"frequency": "day", "interval": 1, "schedule": {"hours": 2, "minutes": 30}},
    ],
)
def test_a_time_that_the_clock_skips_fires_after_the_gap(zone: str, values: dict) -> None:
    found = trigger(**values, time_zone=zone)
    assert fires(found, at("2024-03-09T00:00:00-08:00"), 3) == [
        at("2024-03-09T02:30:00-08:00"),
        at("2024-03-10T03:00:00-07:00"),
        at("2024-03-11T02:30:00-07:00"),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"expression": "30 1 * * *"},
        {"frequency": "day", "interval": 1, "schedule": {"hours": 1, "minutes": 30}},
    ],
)
def test_a_time_that_comes_twice_fires_once(values: dict) -> None:
    found = trigger(**values, time_zone="Pacific Standard Time")
    assert fires(found, at("2024-11-02T12:00:00-07:00"), 2) == [
        at("2024-11-03T01:30:00-07:00"),
        at("2024-11-04T01:30:00-08:00"),
    ]


def test_hours_are_elapsed_hours_over_a_clock_change() -> None:
    found = trigger(frequency="hour", interval=6, time_zone="W. Europe Standard Time", start_time="2024-03-30T00:00:00")
    times = fires(found, at("2024-03-30T12:00:00+00:00"), 6)
    assert {b - a for a, b in itertools.pairwise(times)} == {timedelta(hours=6)}


def test_times_without_offset_are_of_the_zone() -> None:
    found = trigger(frequency="day", interval=1, time_zone="India Standard Time", start_time="2024-06-01T09:00:00")
    assert triggers.next_fire(found, NOW) == at("2024-06-01T03:30:00+00:00")


@pytest.mark.parametrize(
    ("windows", "iana"),
    [
        ("UTC", "Etc/UTC"), ("Pacific Standard Time", "America/Los_Angeles"), ("Romance Standard Time", "Europe/Paris"),
        ("GMT Standard Time", "Europe/London"), ("India Standard Time", "Asia/Kolkata"),
        ("AUS Eastern Standard Time", "Australia/Sydney"), ("SA Eastern Standard Time", "America/Cayenne"),
        ("FLE Standard Time", "Europe/Kyiv"), ("Tokyo Standard Time", "Asia/Tokyo"),
    ],
)  # fmt: skip
def test_windows_names_are_known(windows: str, iana: str) -> None:
    assert timezones.find(windows).key == iana


def test_every_windows_name_has_a_zone_that_exists() -> None:
    assert len(timezones.WINDOWS_ZONES) > 130
    for name in timezones.WINDOWS_ZONES:
        timezones.find(name)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("{type: cron, expression: '60 * * * *'}", "not a cron expression"),
        ("{type: recurrence, frequency: day, interval: 0}", "greater than or equal to 1"),
        ("{type: recurrence, frequency: fortnight, interval: 1}", "must be one of minute"),
        ("{type: recurrence, frequency: day, interval: 1, schedule: {hours: 24, minutes: 0}}",
         "less than or equal to 23"),
        ("{type: recurrence, frequency: day, interval: 1, schedule: {hours: 1, minutes: 0, week_days: monday}}",
         "needs frequency week"),
        ("{type: recurrence, frequency: week, interval: 1, schedule: {hours: 1, minutes: 0, month_days: 1}}",
         "needs frequency month"),
        ("{type: recurrence, frequency: week, interval: 1, schedule: {hours: 1, minutes: 0, weekdays: monday}}",
         "unknown field 'weekdays'"),
        ("{type: recurrence, frequency: day, interval: 1, start_time: tomorrow}", "start_time"),
        ("{type: cron, expression: '0 * * * *', start_time: 2024-02-01, end_time: 2024-01-01}", "lies before"),
    ],
)  # fmt: skip
def test_triggers_that_cannot_be_are_refused(values: str, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        documents.parse(f"name: s\ntrigger: {values}\ncreate_monitor: {{}}\n", "s.yml", Path())
    assert says in caught.value.what
    assert caught.value.where and caught.value.where.line == 2


# Default windows: azure-ai-ml's reference for monitors (lookback_window_size and offset).
@pytest.mark.parametrize(
    ("values", "days"),
    [
        ({"frequency": "day", "interval": 3}, 3),
        ({"frequency": "week", "interval": 2}, 14),
        ({"frequency": "month", "interval": 1}, 30),
        ({"frequency": "hour", "interval": 6}, 1),
        ({"frequency": "minute", "interval": 5}, 1),
        ({"expression": "0 3 * * *"}, 7),
    ],
)
def test_default_windows_follow_the_trigger(values: dict, days: int) -> None:
    found = trigger(**values)
    window = triggers.production_window(found, None, NOW)
    assert (window.start, window.end) == (NOW - timedelta(days=days), NOW)
    reference = triggers.reference_window(found, None, None, NOW)
    assert reference == triggers.Window(window.start - timedelta(days=2 * days), window.start)


def data(**values: Any) -> signal_data.SignalData:
    return signal_data.SignalData.model_validate(values)


def test_written_windows_win_and_default_is_the_default() -> None:
    daily = trigger(frequency="day", interval=1)
    week = data(data_window={"lookback_window_size": "P7D", "lookback_window_offset": "P1D"})
    window = triggers.production_window(daily, week, NOW)
    assert window == triggers.Window(NOW - timedelta(days=8), NOW - timedelta(days=1))
    before = data(data_window={"lookback_window_size": "default", "lookback_window_offset": "default"})
    assert triggers.reference_window(daily, before, week, NOW) == triggers.Window(
        window.start - timedelta(days=2), window.start
    )


def test_a_fixed_window_includes_its_last_day() -> None:
    fixed = data(data_window={"window_start": "2024-01-01", "window_end": "2024-01-31"})
    window = triggers.reference_window(trigger(expression="0 0 * * *"), fixed, None, NOW)
    assert window == triggers.Window(at("2024-01-01T00:00:00+00:00"), at("2024-02-01T00:00:00+00:00"))


def test_reference_data_without_a_window_is_the_whole_asset() -> None:
    asset = data(input_data={"path": "azureml:train:1", "type": "mltable"})
    assert triggers.reference_window(trigger(expression="0 0 * * *"), asset, None, NOW) is None


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (trigger(expression="*/20 2-4 * * 1-5"), 40),
        (trigger(frequency="minute", interval=7), 300),
        (trigger(frequency="week", interval=2, schedule={"hours": 6, "minutes": 30, "week_days": ["Friday"]}), 5),
        (trigger(expression="30 2 * * *", time_zone="Europe/Berlin"), 30),
    ],
)
def test_the_last_time_that_was_missed_is_the_last_of_those_that_come_one_after_another(
    found: triggers.Trigger, count: int
) -> None:
    times = fires(found, NOW, count + 1)
    for last, after in itertools.pairwise(times):
        assert triggers.last_fire(found, times[0], last) == last
        assert triggers.last_fire(found, times[0], after - timedelta(microseconds=1)) == last


def test_a_trigger_that_has_ended_fires_last_at_its_end() -> None:
    ended = trigger(expression="0 * * * *", end_time="2024-05-15T15:00:00")
    assert triggers.last_fire(ended, at("2024-05-15T13:00:00+00:00"), NOW + timedelta(days=90)) == at(
        "2024-05-15T15:00:00+00:00"
    )
