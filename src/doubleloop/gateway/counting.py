"""Counters of one deployment id."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from doubleloop.gateway import histogram, protocol

# Requests that were scored together: at most 64 are.
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64)
_NUMBERS = (
    "throttled", "cancelled", "latency_sum_ms", "queue_sum_ms", "batched_requests", "first_sum_ms", "pieces"
)  # fmt: skip
_HISTOGRAMS = ("latency", "answers", "queue", "batches", "first")


class Counts:
    def __init__(self) -> None:
        self.since = time.time()
        self.by_status: Counter[int] = Counter()
        self.throttled = 0
        self.cancelled = 0
        self.in_flight = 0
        # Request-seconds until ``_since``: divided by a span of time, the mean number in flight.
        self._in_flight_seconds = 0.0
        self._since = time.monotonic()
        self.latency = histogram.empty()
        self.latency_sum_ms = 0.0
        # Of the answers that the model gave, or should have given: a refusal (4xx) is quick and says nothing about it.
        self.answers = histogram.empty()
        self.queue = histogram.empty()
        self.queue_sum_ms = 0.0
        self.batches = histogram.empty(BATCH_BOUNDS)
        self.batched_requests = 0
        # Of streamed answers: the time to the first piece, and pieces of those that are over.
        self.first = histogram.empty()
        self.first_sum_ms = 0.0
        self.pieces = 0

    def entered(self) -> None:
        self.in_flight_seconds()
        self.in_flight += 1

    def left(self) -> None:
        self.in_flight_seconds()
        self.in_flight -= 1

    def in_flight_seconds(self) -> float:
        """The integral of ``in_flight`` over time until now."""
        now = time.monotonic()
        self._in_flight_seconds += self.in_flight * (now - self._since)
        self._since = now
        return self._in_flight_seconds

    def answered(self, status: int, milliseconds: float) -> None:
        self.by_status[status] += 1
        self.throttled += status == 429
        self.latency_sum_ms += milliseconds
        histogram.add(self.latency, milliseconds)
        if not 400 <= status < 500:
            histogram.add(self.answers, milliseconds)

    def waited(self, milliseconds: float) -> None:
        """How long a request was in the queue before a scorer had it."""
        self.queue_sum_ms += milliseconds
        histogram.add(self.queue, milliseconds)

    def batched(self, requests: int) -> None:
        """A scorer has answered so many requests together."""
        self.batched_requests += requests
        histogram.add(self.batches, requests, BATCH_BOUNDS)

    def streaming(self, milliseconds: float) -> None:
        """The first piece of a streamed answer is there, so long after the request."""
        self.first_sum_ms += milliseconds
        histogram.add(self.first, milliseconds)

    def take(self) -> dict[str, Any]:
        """What was counted since the last call, for ``merge`` in another process; ``in_flight`` stays here."""
        seconds = self.in_flight_seconds()
        taken = {
            "by_status": {str(status): count for status, count in self.by_status.items()}, "in_flight_seconds": seconds,
            **{name: getattr(self, name) for name in (*_NUMBERS, *_HISTOGRAMS)},
        }  # fmt: skip
        self._in_flight_seconds = 0.0
        self.by_status = Counter()
        for name in _NUMBERS:
            setattr(self, name, 0)
        for name in _HISTOGRAMS:
            setattr(self, name, [0] * len(getattr(self, name)))
        return taken

    def merge(self, taken: Mapping[str, Any]) -> None:
        self.by_status.update({int(status): count for status, count in taken["by_status"].items()})
        self._in_flight_seconds += taken["in_flight_seconds"]
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + taken[name])
        for name in _HISTOGRAMS:
            setattr(self, name, [one + two for one, two in zip(getattr(self, name), taken[name], strict=True)])

    def snapshot(self, elsewhere: int = 0) -> protocol.Counters:
        """``elsewhere``: requests in flight in other processes."""
        return protocol.Counters(
            requests=self.by_status.total(),
            client_errors=sum(count for status, count in self.by_status.items() if 400 <= status < 500),
            server_errors=sum(count for status, count in self.by_status.items() if status >= 500),
            throttled=self.throttled,
            cancelled=self.cancelled,
            in_flight=self.in_flight + elsewhere,
            latency=tuple(self.answers),
        )
