"""Judgement about traffic and rollouts: pure."""

from __future__ import annotations

from collections.abc import Mapping

from doubleloop.base import clock, errors, verdicts
from doubleloop.endpoints.model import Metrics
from doubleloop.gateway import histogram

# Fewer answers than this say nothing about a rate or a 99th percentile.
ENOUGH_REQUESTS = 20


def milliseconds(interval: str) -> int:
    """Of ``polling_interval``: whole seconds, or a duration."""
    return int(interval) * 1000 if interval.isdigit() else int(clock.duration(interval).total_seconds() * 1000)


def check_traffic(traffic: Mapping[str, int], deployments: Mapping[str, bool]) -> None:
    """``deployments`` tells for each name whether it is ready. Raises InvalidInput, Conflict."""
    for name, share in traffic.items():
        if name not in deployments:
            raise errors.InvalidInput(
                f"There is no deployment '{name}'", cure=f"There are: {', '.join(sorted(deployments)) or 'none yet'}."
            )
        if share > 0 and not deployments[name]:
            raise errors.Conflict(f"Deployment {name} is not ready and cannot take traffic")
    total = sum(traffic.values())
    if any(share < 0 for share in traffic.values()) or total not in (0, 100):
        raise errors.InvalidInput(
            f"The shares add up to {total}", cure="Give whole per cents that add up to 100, or to 0 for none."
        )


def difference(before: Metrics, after: Metrics) -> Metrics:
    """What happened between two looks. A smaller count means that the gateway began anew in between."""
    if after.requests < before.requests or not after.latency:
        return after
    earlier = before.latency or (0,) * len(after.latency)
    latency = tuple(now - then for now, then in zip(after.latency, earlier, strict=True))
    return Metrics(
        after.requests - before.requests, after.errors_4xx - before.errors_4xx, after.errors_5xx - before.errors_5xx,
        after.throttled - before.throttled, latency, histogram.quantile(latency, 0.5),
        histogram.quantile(latency, 0.95), histogram.quantile(latency, 0.99), after.state, after.error,
        after.ready_instances, after.description,
    )  # fmt: skip


def judge_rollout(before: Metrics, after: Metrics, abort: Mapping[str, float]) -> verdicts.Verdict:
    """Whether a candidate may get more traffic after a bake: its own answers between the two looks decide.

    ``abort`` may hold ``error_rate`` (share of 5xx and 429 among what the model was asked) and ``p99_ms``. What was
    refused as the caller's mistake (other 4xx) neither dilutes a rate nor is evidence of health. A deployment that does
    not answer fails at once; with fewer than ENOUGH_REQUESTS to judge by, rates are not judged, and the reason says so.
    """
    if after.state not in ("ready", "unknown"):
        return verdicts.failed(f"the deployment is {after.state}: {after.error}")
    seen = difference(before, after)
    refused = f", and {seen.refused} that were refused (4xx)" if seen.refused else ""
    if seen.asked < ENOUGH_REQUESTS:
        return verdicts.passed(f"only {seen.asked} requests during the bake{refused}: too few to judge rates")
    reasons = []
    if "error_rate" in abort and seen.error_rate > abort["error_rate"]:
        failed = f"{seen.errors_5xx + seen.throttled} of {seen.asked} requests failed"
        reasons.append(f"error rate {seen.error_rate:.4f} is above {abort['error_rate']:g} ({failed}{refused})")
    if "p99_ms" in abort and seen.p99_ms is not None and seen.p99_ms > abort["p99_ms"]:
        reasons.append(f"p99 {seen.p99_ms:.1f} ms is above {abort['p99_ms']:g} ms")
    if reasons:
        return verdicts.failed(*reasons)
    p99 = f"{seen.p99_ms:.1f}" if seen.p99_ms is not None else "?"
    return verdicts.passed(f"{seen.asked} requests, error rate {seen.error_rate:.4f}, p99 {p99} ms{refused}")
