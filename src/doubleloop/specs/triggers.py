"""When a trigger fires next, and which window of data a monitor looks at: arithmetic alone, time is an argument.

Times are wall-clock times of the trigger's zone. A time that the clock skips (spring) fires at the first moment after
the gap; a time that comes twice (autumn) fires once, the first time. Frequencies ``minute`` and ``hour`` count elapsed
time. Intervals count from ``start_time``, or without one from Monday, 5 January 1970, 00:00.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from doubleloop.base import clock, errors
from doubleloop.specs import timezones
from doubleloop.specs.kinds import schedules, signal_data

Trigger = schedules.CronTrigger | schedules.RecurrenceTrigger

_EPOCH = datetime(1970, 1, 5)  # noqa: DTZ001 - wall-clock time of whatever zone
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HORIZON = 366 * 30  # days looked ahead before a trigger counts as one that never fires (29 February is within)


def next_fire(trigger: Trigger, after: datetime) -> datetime | None:
    """The first time later than ``after`` (aware) at which the trigger fires, in UTC; None when there is none."""
    start, end = _bound(trigger.start_time, trigger), _bound(trigger.end_time, trigger)
    after = after.astimezone(UTC)
    if start and after < start:
        after = start - timedelta(microseconds=1)
    if isinstance(trigger, schedules.CronTrigger):
        found = _cron(trigger, after)
    elif trigger.frequency in ("minute", "hour"):
        found = _elapsed(trigger, after)
    else:
        found = _calendar(trigger, after)
    return found if found and (end is None or found <= end) else None


def first_fire(trigger: Trigger, after: datetime, where: errors.Where | None) -> datetime | None:
    """As ``next_fire``, of a trigger that is put in place. Raises InvalidInput for a day that never comes, such as the
    30th of February; what has merely ended is kept."""
    found = next_fire(trigger, after)
    if found is None and trigger.end_time is None:
        raise errors.InvalidInput(
            "The trigger never falls due: no such day comes within 30 years", where=where,
            cure="Look at its day and its month.",
        )  # fmt: skip
    return found


def last_fire(trigger: Trigger, first: datetime, now: datetime) -> datetime:
    """The last of the times at which the trigger fires from ``first``, which is one of them, until ``now``.

    Found by bisection, as times are at least a second apart and a short period may have been missed for months.
    """
    before, after = first - timedelta(microseconds=1), now
    while after - before > timedelta(milliseconds=500):
        middle = before + (after - before) / 2
        found = next_fire(trigger, middle)
        if found is not None and found <= now:
            before = middle
        else:
            after = middle
    found = next_fire(trigger, before)
    return found if found is not None and first <= found <= now else first


def _bound(text: str | None, trigger: Trigger) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return _utc(moment, timezones.find(trigger.time_zone)) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as UTC: in a gap the first moment after it, in an overlap the earlier one."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap fold=1 takes the offset after it and lands before it, fold=0 the one before and lands after it.
    early, late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset():
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def _cron(trigger: schedules.CronTrigger, after: datetime) -> datetime | None:
    """croniter on wall-clock time, so that the zone's clock changes are handled in one place."""
    zone = timezones.find(trigger.time_zone)
    wall = after.astimezone(zone).replace(tzinfo=None) - timedelta(hours=3)
    times = croniter(trigger.expression, wall, max_years_between_matches=30)
    while True:
        try:
            found = _utc(times.get_next(datetime), zone)
        except CroniterBadDateError:
            return None
        if found > after:
            return found


def _elapsed(trigger: schedules.RecurrenceTrigger, after: datetime) -> datetime | None:
    zone = timezones.find(trigger.time_zone)
    anchor = _bound(trigger.start_time, trigger) or _utc(_EPOCH, zone)
    period = timedelta(**{f"{trigger.frequency}s": trigger.interval})
    if trigger.schedule is None:
        return anchor + max((after - anchor) // period + 1, 0) * period
    return _on_days(trigger, after, zone, lambda day: True)


def _calendar(trigger: schedules.RecurrenceTrigger, after: datetime) -> datetime | None:
    zone = timezones.find(trigger.time_zone)
    start = _bound(trigger.start_time, trigger)
    anchor = start.astimezone(zone).replace(tzinfo=None) if start else _EPOCH
    return _on_days(trigger, after, zone, lambda day: _fits(day, trigger, anchor.date()), anchor)


def _fits(day: date, trigger: schedules.RecurrenceTrigger, anchor: date) -> bool:
    """Whether a recurrence by day, week or month fires on ``day``."""
    pattern = trigger.schedule
    if trigger.frequency == "day":
        return (day - anchor).days % trigger.interval == 0
    if trigger.frequency == "week":
        weeks = (_monday(day) - _monday(anchor)).days // 7
        names = pattern.week_days if pattern and pattern.week_days else [_DAYS[anchor.weekday()]]
        return weeks % trigger.interval == 0 and _DAYS[day.weekday()] in names
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    days = pattern.month_days if pattern and pattern.month_days else [anchor.day if trigger.start_time else 1]
    return months % trigger.interval == 0 and day.day in days


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _on_days(
    trigger: schedules.RecurrenceTrigger,
    after: datetime,
    zone: ZoneInfo,
    fits: Callable[[date], bool],
    anchor: datetime = _EPOCH,
) -> datetime | None:
    first = after.astimezone(zone).date() - timedelta(days=1)
    for offset in range(_HORIZON):
        day = first + timedelta(days=offset)
        if fits(day):
            for moment in sorted(_utc(wall, zone) for wall in _times(day, trigger, anchor)):
                if moment > after:
                    return moment
    return None


def _times(day: date, trigger: schedules.RecurrenceTrigger, anchor: datetime) -> Iterator[datetime]:
    if trigger.schedule is None:
        yield datetime.combine(day, anchor.time())
        return
    for hour in trigger.schedule.hours:
        for minute in trigger.schedule.minutes:
            yield datetime.combine(day, time(hour, minute))


@dataclass(frozen=True)
class Window:
    """Data from ``start`` (inclusive) to ``end`` (exclusive)."""

    start: datetime
    end: datetime


def default_size(trigger: Trigger) -> timedelta:
    """Length of a monitor's production window: the last period of its trigger (Azure ML's defaults).

    day -> interval days, week -> 7 × interval days, month -> 30 × interval days, minute and hour -> 1 day,
    cron -> 7 days.
    """
    if isinstance(trigger, schedules.CronTrigger):
        return timedelta(days=7)
    days = {"day": 1, "week": 7, "month": 30}.get(trigger.frequency)
    return timedelta(days=days * trigger.interval) if days else timedelta(days=1)


def production_window(trigger: Trigger, data: signal_data.SignalData | None, now: datetime) -> Window:
    """The time of production data that a run at ``now`` looks at."""
    size, offset, fixed = _written(data)
    if fixed:
        return fixed
    end = now.astimezone(UTC) - (offset or timedelta())
    return Window(end - (size or default_size(trigger)), end)


def reference_window(
    trigger: Trigger, data: signal_data.SignalData | None, production: signal_data.SignalData | None, now: datetime
) -> Window | None:
    """The time of reference data; None means the whole of the asset.

    Without any reference data it is the production data before the production window, twice as long. A size of
    ``default`` is twice the production size of the trigger, an offset of ``default`` the production window's size.
    """
    window = data.data_window if data else None
    recent = production_window(trigger, production, now)
    if data and data.input_data and not window and not data.data_window_size:
        return None
    size, offset, fixed = _written(data)
    if fixed:
        return fixed
    end = recent.start if offset is None else now.astimezone(UTC) - offset
    return Window(end - (size or 2 * default_size(trigger)), end)


def _written(data: signal_data.SignalData | None) -> tuple[timedelta | None, timedelta | None, Window | None]:
    """Size, offset and fixed window as written; ``default`` counts as not written."""
    window = data.data_window if data else None
    if window and window.window_start and window.window_end:
        return None, None, Window(clock.parse(window.window_start), clock.parse(window.window_end) + timedelta(days=1))
    size = (window.lookback_window_size if window else None) or (data.data_window_size if data else None)
    offset = window.lookback_window_offset if window else None
    return _duration(size), _duration(offset), None


def _duration(text: str | None) -> timedelta | None:
    return None if text in (None, "default") else clock.duration(str(text))
