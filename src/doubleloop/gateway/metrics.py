"""What the gateway measures, as families of points: read from its counters when somebody asks, in any form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from doubleloop.gateway import counting, histogram
from doubleloop.gateway.objectives import Objective
from doubleloop.gateway.routing import Route
from doubleloop.gateway.running import Running

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Buckets:
    """``counts`` per bucket, one more than there are upper ``bounds``; ``total`` is the sum of what was measured."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float


@dataclass(frozen=True)
class Point:
    """``since``: when a counter was 0, in seconds since 1970."""

    labels: Labels
    value: float | Buckets
    since: float = 0.0


@dataclass(frozen=True)
class Family:
    """``unit`` as in UCUM: ``s``, ``By``, ``{request}``, ``1`` for ratios."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    text: str
    points: list[Point] = field(default_factory=list)


_SECONDS = tuple(bound / 1000 for bound in histogram.BOUNDS_MS)
_SLO: tuple[tuple[str, str, str, Callable[[Objective], float | None]], ...] = (
    ("objective_ratio", "1", "Share of good requests aimed at.", lambda each: each.target / 100),
    (
        "compliance_ratio", "1", "Share of good requests over the objective's window.",
        lambda each: None if each.compliance is None else each.compliance / 100,
    ),
    ("valid_requests", "{request}", "Requests that count, over the window.", lambda each: each.valid),
    ("bad_requests", "{request}", "Requests that used up the error budget.", lambda each: each.consumed),
    (
        "error_budget_remaining_ratio", "1", "Share of the error budget that is left; below 0 when it is overdrawn.",
        lambda each: None if each.consumed_percent is None else 1 - each.consumed_percent / 100,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One endpoint: its key, its route, what runs for it by the deployment's name, and how its objectives are met."""

    key: str
    route: Route
    running: Mapping[str, Running]
    objectives: Iterable[Objective]


def collect(endpoints: Iterable[Measured]) -> list[Family]:
    book = _Book()
    for endpoint in endpoints:
        key, route = endpoint.key, endpoint.route
        for code, count in route.refused.items():
            book.add("doubleloop_refused_total", {"endpoint": key, "code": str(code)}, count, route.since)
        for name, running in endpoint.running.items():
            labels = {"endpoint": key, "deployment": name, "deployment_id": running.deployment.id}
            _counted(book, labels, running)
            book.add("doubleloop_instances", labels, running.instances)
            book.add("doubleloop_ready_instances", labels, running.pool.ready)
            book.add("doubleloop_queued", labels, running.queued)
            book.add("doubleloop_scorer_restarts_total", labels, running.restarts, running.counts.since)
            for number, worker in running.workers().items():
                each = {**labels, "worker": str(number)}
                book.add("doubleloop_scorer_memory_bytes", each, worker.memory)
                book.add("doubleloop_scorer_cpu_seconds_total", each, worker.cpu, worker.since)
        _objectives(book, key, endpoint.objectives)
    return list(book.families.values())


class _Book:
    """All families, also those without a point."""

    def __init__(self) -> None:
        self.families = {each.name: each for each in _families()}

    def add(self, name: str, labels: Labels, value: float | Buckets, since: float = 0.0) -> None:
        self.families[name].points.append(Point(labels, value, since))


def _families() -> Iterable[Family]:
    yield Family("doubleloop_requests_total", "counter", "{request}", "Answered requests by status code.")
    yield Family("doubleloop_refused_total", "counter", "{request}", "Requests that reached no deployment, by code.")
    yield Family("doubleloop_throttled_total", "counter", "{request}", "Requests answered 429.")
    yield Family("doubleloop_cancelled_total", "counter", "{request}", "Requests whose caller went away.")
    yield Family("doubleloop_in_flight", "gauge", "{request}", "Requests being answered now.")
    yield Family("doubleloop_queued", "gauge", "{request}", "Requests that wait for a scorer now.")
    yield Family("doubleloop_instances", "gauge", "{process}", "Scorer processes that are wanted.")
    yield Family("doubleloop_ready_instances", "gauge", "{process}", "Scorer processes that can answer.")
    restarts = "Scorer processes that ended and were started again."
    yield Family("doubleloop_scorer_restarts_total", "counter", "{process}", restarts)
    yield Family("doubleloop_scorer_memory_bytes", "gauge", "By", "Resident memory of a scorer process.")
    yield Family("doubleloop_scorer_cpu_seconds_total", "counter", "s", "Processor time of a scorer process.")
    yield Family("doubleloop_request_seconds", "histogram", "s", "From the request's last byte to its answer.")
    yield Family("doubleloop_queue_seconds", "histogram", "s", "From the queue to a scorer.")
    first = "From a streamed request's last byte to the first piece of its answer."
    yield Family("doubleloop_time_to_first_token_seconds", "histogram", "s", first)
    yield Family("doubleloop_streamed_pieces_total", "counter", "{piece}", "Pieces of streamed answers.")
    yield Family("doubleloop_batch_size", "histogram", "{request}", "Requests that a scorer answered together.")
    for name, unit, text, _ in _SLO:
        yield Family(f"doubleloop_slo_{name}", "gauge", unit, text)
    yield Family("doubleloop_slo_burn_rate", "gauge", "1", "Share of bad requests over the share that may be bad.")


def _counted(book: _Book, labels: Labels, running: Running) -> None:
    counts, since = running.counts, running.counts.since
    for status, count in sorted(counts.by_status.items()):
        book.add("doubleloop_requests_total", {**labels, "code": str(status)}, count, since)
    book.add("doubleloop_throttled_total", labels, counts.throttled, since)
    book.add("doubleloop_cancelled_total", labels, counts.cancelled, since)
    book.add("doubleloop_in_flight", labels, counts.in_flight + running.in_flight_elsewhere)
    request = Buckets(_SECONDS, tuple(counts.latency), counts.latency_sum_ms / 1000)
    book.add("doubleloop_request_seconds", labels, request, since)
    queue = Buckets(_SECONDS, tuple(counts.queue), counts.queue_sum_ms / 1000)
    book.add("doubleloop_queue_seconds", labels, queue, since)
    first = Buckets(_SECONDS, tuple(counts.first), counts.first_sum_ms / 1000)
    book.add("doubleloop_time_to_first_token_seconds", labels, first, since)
    book.add("doubleloop_streamed_pieces_total", labels, counts.pieces, since)
    batches = Buckets(counting.BATCH_BOUNDS, tuple(counts.batches), counts.batched_requests)
    book.add("doubleloop_batch_size", labels, batches, since)


def _objectives(book: _Book, endpoint: str, found: Iterable[Objective]) -> None:
    """Ratios from 0 to 1; nothing of what is not known."""
    for each in found:
        labels = {"endpoint": endpoint, "slo": each.kind}
        for name, _, _, value in _SLO:
            if (known := value(each)) is not None:
                book.add(f"doubleloop_slo_{name}", labels, known)
        for window, rate in each.burn_rates.items():
            if rate is not None:
                book.add("doubleloop_slo_burn_rate", {**labels, "window": window}, rate)
