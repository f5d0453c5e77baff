"""Folders whose files are dated by their place (``2026/11/26/08/…``), as collected data lies: which are of a window."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from doubleloop.monitoring.model import Window

# 2026/11/26, with an hour or without; year=2026/month=11/day=26/hour=8; 2026-11-26, and date=2026-11-26.
_PLACE = re.compile(
    r"(?:^|/)(?:[a-z_]+=)?(?P<year>\d{4})[/-](?:month=)?(?P<month>\d{1,2})[/-](?:day=)?(?P<day>\d{1,2})"
    r"(?:/(?:hour=)?(?P<hour>\d{1,2}))?/",
    re.IGNORECASE,
)


def span(path: str) -> Window | None:
    """The hour or the day (UTC) that a file's place says it is of; None when it says none."""
    found = _PLACE.search(path)
    if found is None:
        return None
    hour = found["hour"]
    try:
        day = int(found["year"]), int(found["month"]), int(found["day"])
        start = datetime(*day, int(hour or 0), tzinfo=UTC)
    except ValueError:
        return None
    return Window(start, start + (timedelta(hours=1) if hour else timedelta(days=1)))


def within(paths: Iterable[str], window: Window) -> list[str] | None:
    """Those that overlap the window; None when any says no time."""
    chosen = []
    for path in paths:
        held = span(path)
        if held is None:
            return None
        if held.start < window.end and held.end > window.start:
            chosen.append(path)
    return chosen
