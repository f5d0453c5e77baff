"""Counts of an endpoint's requests for its objectives, by the minute."""

from __future__ import annotations

from collections.abc import Iterable

from doubleloop.gateway.desired import Slo

MINUTE = 60
VALID, FAILED, TIMED, SLOW = range(2, 6)
Span = tuple[int, int]  # start in seconds since 1970, length in seconds


class Tally:
    """``now`` is in seconds since 1970 throughout. A span is ``[start, seconds, valid, failed, timed, slow]``.

    Valid are requests but the caller's own mistakes (4xx other than 429); failed are 5xx and 429; timed are those
    answered without failure while there was an objective for latency, slow those of them above its threshold.
    """

    def __init__(self, slo: Slo | None) -> None:
        self._slo = slo or Slo()
        self._spans: dict[Span, list[int]] = {}
        self._changed: dict[Span, None] = {}
        self._current: list[int] = [0] * 6

    def follow(self, slo: Slo | None, now: float) -> None:
        """Count for these objectives from now on."""
        self._slo = slo or Slo()

    def add(self, status: int, milliseconds: float, now: float) -> None:
        if 400 <= status < 500 and status != 429:
            return
        span = self._current
        if not span[0] <= now < span[0] + MINUTE:
            span = self._current = self._at(int(now) // MINUTE * MINUTE, MINUTE)
        span[VALID] += 1
        if status >= 500 or status == 429:
            span[FAILED] += 1
        elif self._slo.latency_threshold_ms is not None:
            span[TIMED] += 1
            span[SLOW] += milliseconds > self._slo.latency_threshold_ms
        self._changed[span[0], MINUTE] = None

    def take(self) -> list[list[int]]:
        """What was counted since the last call; it is counted elsewhere from now on."""
        taken = list(self._spans.values())
        self._spans, self._current = {}, [0] * 6
        self._changed.clear()
        return taken

    def merge(self, spans: Iterable[list[int]]) -> None:
        """Add what another process has counted."""
        for start, seconds, *counts in spans:
            span = self._at(start, seconds)
            for place, count in zip((VALID, FAILED, TIMED, SLOW), counts, strict=True):
                span[place] += count
            self._changed[start, seconds] = None

    def _at(self, start: int, seconds: int) -> list[int]:
        return self._spans.setdefault((start, seconds), [start, seconds, 0, 0, 0, 0])
