"""endpoint_performance: whether a deployment answers a given rate of requests in time and without errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import verdicts

# When fewer requests than this share went out on time, the machine that measures was the bottleneck.
FEWEST_ON_TIME = 0.5


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: p50_ms, p95_ms, p99_ms, error_rate (each may be None). ``measurements``: of ``releases.load``.

    Latency counts from the moment a request was due, not from when it could be sent; what got no answer counts as
    an error, and as slower than every answer.
    """
    planned, errors_ = measurements["planned"], measurements["errors"]
    if planned == 0:
        return verdicts.failed("no request fell into the time of the load: raise its rate or duration")
    against, notes = [], []
    share = errors_ / planned
    limit = check.get("error_rate")
    allowed = 0.0 if limit is None else float(limit)
    said = f"{errors_} of {planned} requests failed ({share:.2%}), allowed {allowed:.2%}"
    if share > allowed:
        against.append(said + _kinds(measurements.get("error_kinds", {})))
        if measurements.get("example_error"):
            against.append(f"one of the failed answers: {measurements['example_error']}")
    else:
        notes.append(said)
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        bound, value = check.get(name), measurements["latency_ms"].get(name.removesuffix("_ms"))
        if bound is None:
            continue
        if value is None:
            against.append(f"{name.removesuffix('_ms')} cannot be told: too few requests were answered")
        else:
            said = f"{name.removesuffix('_ms')} {value:.1f} ms, allowed {bound:g} ms"
            (against if value > bound else notes).append(said)
    on_time = measurements.get("sent_on_time", 1.0)
    if on_time < FEWEST_ON_TIME:
        said = f"only {on_time:.0%} of the requests could be sent within 50 ms of their time: this machine was too busy"
        (against if against else notes).append(said)
    notes.insert(0, f"{measurements['rate']:g} requests a second for {measurements['duration_s']:g} s")
    return verdicts.failed(*against) if against else verdicts.passed(*notes)


def _kinds(kinds: Mapping[str, int]) -> str:
    return ": " + ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items())) if kinds else ""
