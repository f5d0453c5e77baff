"""Time: always aware, always UTC, written as ISO 8601 with microseconds and a Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(
    r"^(?P<sign>-)?P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)
_SHORT = re.compile(r"^(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w)$")
_SHORT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def now() -> datetime:
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """``2026-11-22T21:56:00.000000Z``; fixed width, so text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def microseconds(moment: datetime) -> int:
    """Since 1970, to the last one. Raises OverflowError for a time that lies in no year of UTC that can be told."""
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def parse(text: str) -> datetime:
    """An ISO 8601 date or date-time; without an offset it is taken as UTC. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"'{text[:80]}' is not a date or a time (2026-01-31, 2026-01-31T12:00:00Z)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(text: str) -> timedelta:
    """``P7D``, ``PT30M`` (ISO 8601, no months or years) or ``7d``, ``60s``, ``250ms``. Raises ValueError."""
    short = _SHORT.match(text.strip())
    if short:
        return timedelta(seconds=float(short["number"]) * _SHORT_SECONDS[short["unit"]])
    match = _DURATION.match(text.strip())
    if not match or text.strip() in ("P", "-P", "PT") or text.strip().endswith("T"):
        raise ValueError(f"'{text}' is not a duration; write ISO 8601 (P7D, PT30M) or 7d, 30m, 60s")
    parts = {key: float(value) for key, value in match.groupdict().items() if value and key != "sign"}
    span = timedelta(**parts)
    return -span if match["sign"] else span
