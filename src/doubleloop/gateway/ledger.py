"""How many requests an endpoint answered well, by minute and by hour, kept across restarts.

A line of the file is ``[start, seconds, valid, failed, timed, slow]``: a later line for the same span replaces the
earlier one, so what was counted is appended, once a second at most. Minutes of more than six hours ago become hours.
Once an hour the file is written anew: then it has a line for each of these minutes and hours.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from doubleloop.gateway.desired import Slo
from doubleloop.gateway.objectives import BURN_WINDOWS, KINDS, Count, Kind, Objective, assess
from doubleloop.gateway.tally import FAILED, MINUTE, SLOW, TIMED, VALID, Tally

logger = logging.getLogger(__name__)

HOUR = 3600
# Minutes are kept for the longest window that is to be exact to the minute.
FINE = BURN_WINDOWS["6h"]


class Ledger(Tally):
    """The tally of one endpoint that is kept: what all processes have counted."""

    def __init__(self, path: Path, slo: Slo | None, now: float) -> None:
        super().__init__(slo)
        self._path = path
        self._rolled = 0.0
        self._read(now)

    def follow(self, slo: Slo | None, now: float) -> None:
        """Count for these objectives from now on; another threshold begins the count of slow requests anew."""
        before, self._slo = self._slo, slo or Slo()
        if before.latency_threshold_ms != self._slo.latency_threshold_ms:
            self._forget_latency()
            self._rewrite(now)

    def objectives(self, now: float) -> list[Objective]:
        """Over windows that are rounded up to whole minutes, or hours beyond six of them."""
        if self._slo.availability is None and self._slo.latency is None:
            return []
        total = self._sums(self._slo.window_seconds, now)
        recent = {name: self._sums(seconds, now) for name, seconds in BURN_WINDOWS.items()}
        found = (
            assess(kind, self._slo, _count(kind, total), {name: _count(kind, sums) for name, sums in recent.items()})
            for kind in KINDS
        )
        return [each for each in found if each is not None]

    def _sums(self, seconds: float, now: float) -> list[int]:
        """Valid, failed, timed and slow requests of the last ``seconds``."""
        inside = [span[VALID:] for span in self._spans.values() if span[0] + span[1] > now - seconds]
        return [sum(column) for column in zip(*inside, strict=True)] or [0, 0, 0, 0]

    def save(self, now: float) -> None:
        """Append what was counted since the last time. A disk that refuses is told in the log: counting goes on."""
        if not self._changed:
            return
        if now - self._rolled >= HOUR:
            self._roll(now)
            self._rewrite(now)
            return
        try:
            with open(self._path, "ab") as file:
                file.write(_lines(self._spans[key] for key in self._changed))
        except OSError as error:
            logger.error("the counts of objectives cannot be written to %s: %s", self._path, error)
            return
        self._changed.clear()

    def _roll(self, now: float) -> None:
        """Hours out of old minutes; nothing that no window reaches any more."""
        oldest = now - max(self._slo.window_seconds, *BURN_WINDOWS.values())
        for start, seconds in list(self._spans):
            hour = start // HOUR * HOUR
            if seconds == MINUTE and hour + HOUR <= now - FINE:
                minute, whole = self._spans.pop((start, seconds)), self._at(hour, HOUR)
                for place in (VALID, FAILED, TIMED, SLOW):
                    whole[place] += minute[place]
        for key in [key for key in self._spans if sum(key) <= oldest]:
            del self._spans[key]

    def _forget_latency(self) -> None:
        for span in self._spans.values():
            span[TIMED] = span[SLOW] = 0

    def _rewrite(self, now: float) -> None:
        head = orjson.dumps({"version": 1, "threshold_ms": self._slo.latency_threshold_ms}) + b"\n"
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(head + _lines(self._spans.values()))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            logger.error("the counts of objectives cannot be written to %s: %s", self._path, error)
            return
        self._changed.clear()
        self._rolled = now

    def _read(self, now: float) -> None:
        """What an earlier process counted; a last line that was cut off is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
            threshold = orjson.loads(lines[0])["threshold_ms"]
        except FileNotFoundError:
            return
        except (OSError, orjson.JSONDecodeError, LookupError, TypeError) as error:
            logger.error("the counts of objectives in %s cannot be read and begin anew: %s", self._path, error)
            return
        for line in lines[1:]:
            try:
                start, seconds, *counts = map(int, orjson.loads(line))
            except (ValueError, TypeError):
                continue
            if len(counts) == 4:
                self._spans[start, seconds] = [start, seconds, *counts]
        if threshold != self._slo.latency_threshold_ms:
            self._forget_latency()
        self._roll(now)
        self._rewrite(now)


def _count(kind: Kind, sums: list[int]) -> Count:
    valid, failed, timed, slow = sums
    return Count(valid, failed) if kind == "availability" else Count(timed, slow)


def _lines(spans: Iterable[list[int]]) -> bytes:
    return b"".join(orjson.dumps(span) + b"\n" for span in spans)
