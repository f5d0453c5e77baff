"""Counters of one deployment id, and their Prometheus text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from doubleloop.gateway import histogram, protocol
from doubleloop.gateway.objectives import Objective


class Counts:
    def __init__(self) -> None:
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

    def snapshot(self) -> protocol.Counters:
        return protocol.Counters(
            requests=self.by_status.total(),
            client_errors=sum(count for status, count in self.by_status.items() if 400 <= status < 500),
            server_errors=sum(count for status, count in self.by_status.items() if status >= 500),
            throttled=self.throttled,
            cancelled=self.cancelled,
            in_flight=self.in_flight,
            latency=tuple(self.answers),
        )


Labelled = tuple[dict[str, str], Counts]
# Of one deployment now: name of the sample to its value.
Gauges = tuple[dict[str, str], Mapping[str, float]]
_GAUGES = {
    "doubleloop_instances": ("gauge", "Scorer processes that are wanted."),
    "doubleloop_ready_instances": ("gauge", "Scorer processes that can answer."),
    "doubleloop_scorer_restarts_total": ("counter", "Scorer processes that ended and were started again."),
    "doubleloop_scorer_memory_bytes": ("gauge", "Resident memory of the scorer processes."),
    "doubleloop_scorer_cpu_seconds_total": ("counter", "Processor time of the scorer processes that run."),
    "doubleloop_queued": ("gauge", "Requests that wait for a scorer now."),
}


_SLO: tuple[tuple[str, str, Callable[[Objective], float | None]], ...] = (
    ("doubleloop_slo_objective_ratio", "Share of good requests aimed at.", lambda each: each.target / 100),
    (
        "doubleloop_slo_compliance_ratio",
        "Share of good requests over the objective's window.",
        lambda each: None if each.compliance is None else each.compliance / 100,
    ),
    ("doubleloop_slo_valid_requests", "Requests that count, over the window.", lambda each: each.valid),
    ("doubleloop_slo_bad_requests", "Requests that used up the error budget.", lambda each: each.consumed),
    (
        "doubleloop_slo_error_budget_remaining_ratio",
        "Share of the error budget that is left; below 0 when it is overdrawn.",
        lambda each: None if each.consumed_percent is None else 1 - each.consumed_percent / 100,
    ),
)


def render(
    entries: Iterable[Labelled],
    refused: Iterable[tuple[dict[str, str], int]],
    gauges: Iterable[Gauges] = (),
    objectives: Iterable[tuple[str, Objective]] = (),
) -> str:
    """Prometheus text. ``refused``: requests that never reached a deployment (401, 404, no traffic). ``objectives``: of
    each endpoint."""
    gauges = list(gauges)
    entries = list(entries)
    lines = _family("doubleloop_requests_total", "counter", "Answered requests by status code.")
    for labels, counts in entries:
        for status, count in sorted(counts.by_status.items()):
            lines.append(_sample("doubleloop_requests_total", {**labels, "code": str(status)}, count))
    lines += _family("doubleloop_refused_total", "counter", "Requests that reached no deployment, by status code.")
    lines += [_sample("doubleloop_refused_total", labels, count) for labels, count in refused]
    for name, kind, text, field in (
        ("doubleloop_throttled_total", "counter", "Requests answered 429.", "throttled"),
        ("doubleloop_cancelled_total", "counter", "Requests whose caller went away.", "cancelled"),
        ("doubleloop_in_flight", "gauge", "Requests being answered now.", "in_flight"),
    ):
        lines += _family(name, kind, text)
        lines += [_sample(name, labels, getattr(counts, field)) for labels, counts in entries]
    for name, (kind, text) in _GAUGES.items():
        lines += _family(name, kind, text)
        lines += [_sample(name, labels, values[name]) for labels, values in gauges if name in values]
    lines += _family("doubleloop_request_seconds", "histogram", "From the request's last byte to its answer.")
    for labels, counts in entries:
        lines += _histogram("doubleloop_request_seconds", labels, counts.latency, counts.latency_sum_ms)
    lines += _family("doubleloop_queue_seconds", "histogram", "From the queue to a scorer.")
    for labels, counts in entries:
        lines += _histogram("doubleloop_queue_seconds", labels, counts.queue, counts.queue_sum_ms)
    lines += _objectives(list(objectives))
    return "\n".join(lines) + "\n"


def _objectives(found: list[tuple[str, Objective]]) -> list[str]:
    """Ratios from 0 to 1; none for what nothing is known of."""
    lines = []
    for name, text, value in _SLO:
        samples = [
            _sample(name, {"endpoint": endpoint, "slo": each.kind}, known)
            for endpoint, each in found
            if (known := value(each)) is not None
        ]
        lines += [*_family(name, "gauge", text), *samples]
    lines += _family("doubleloop_slo_burn_rate", "gauge", "Share of bad requests over the share that may be bad.")
    for endpoint, each in found:
        for window, rate in each.burn_rates.items():
            if rate is not None:
                labels = {"endpoint": endpoint, "slo": each.kind, "window": window}
                lines.append(_sample("doubleloop_slo_burn_rate", labels, rate))
    return lines


def _histogram(name: str, labels: dict[str, str], counts: Sequence[int], sum_ms: float) -> list[str]:
    total, lines = 0, []
    for bound, count in zip(histogram.BOUNDS_MS, counts, strict=False):
        total += count
        lines.append(_sample(f"{name}_bucket", {**labels, "le": f"{bound / 1000:g}"}, total))
    total += counts[-1]
    lines.append(_sample(f"{name}_bucket", {**labels, "le": "+Inf"}, total))
    lines.append(_sample(f"{name}_sum", labels, sum_ms / 1000))
    lines.append(_sample(f"{name}_count", labels, total))
    return lines


def _family(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value!r}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
