"""Judgement about traffic and rollouts: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doubleloop.base import clock, errors, verdicts
from doubleloop.endpoints.model import Metrics
from doubleloop.gateway import histogram, paths

# Fewer answers than this say nothing about a rate or a 99th percentile.
ENOUGH_REQUESTS = 20


def milliseconds(interval: str) -> int:
    """Of ``polling_interval``: whole seconds, or a duration."""
    return int(interval) * 1000 if interval.isdigit() else int(clock.duration(interval).total_seconds() * 1000)


# Of Azure ML's probes, where a file leaves them out.
PROBE = {"initial_delay": 10, "period": 10, "failure_threshold": 30}


def start_seconds(probes: Iterable[Any]) -> int | None:
    """How long a model may take to load: until a probe has failed as often as it may. None where no probe is given."""
    found = []
    for probe in probes:
        if probe is not None:
            given = {name: getattr(probe, name) for name in PROBE}
            said = {name: PROBE[name] if value is None else value for name, value in given.items()}
            found.append(said["initial_delay"] + said["period"] * said["failure_threshold"])
    return max(found, default=None)


def check_name(name: str, where: errors.Where | None = None) -> None:
    """The inference log has a folder for each deployment, and one more beside them. Raises InvalidInput."""
    if name == paths.LABELS:
        raise errors.InvalidInput(
            f"A deployment cannot be named '{name}': the log of labels has this name", where=where, cure="Use another."
        )


def check_masking(
    masking: Mapping[str, str], signature: Mapping[str, Any] | None, where: errors.Where | None = None
) -> None:
    """A column that is to be masked must be one: a name that was misspelt would leave a column in the log that nobody
    wants there. Where answers may hold anything, their names cannot be told. Raises InvalidInput."""
    inputs, outputs = ((signature or {}).get(part) or [] for part in ("inputs", "outputs"))
    if not masking or not inputs:
        return
    if all(each.get("type") == "tensor" for each in inputs):
        raise errors.InvalidInput(
            "column_masking names columns, and the model takes tensors", where=where,
            cure="Leave what it is given out of the log: collections: {model_inputs: {enabled: false}}.",
        )  # fmt: skip
    known = [str(each.get("name") or at) for at, each in enumerate(inputs)]
    known += [str(each["name"]) for each in outputs if each.get("name")]
    unknown = [name for name in masking if name not in known]
    if unknown and not any(each.get("type") in ("object", "map", "any", "array") for each in outputs):
        raise errors.InvalidInput(
            f"column_masking names '{unknown[0]}', and the model has no such column", where=where,
            cure=f"It has: {', '.join(known)}.",
        )  # fmt: skip


def check_mirror(mirror: Mapping[str, int], deployments: Mapping[str, bool]) -> None:
    """``deployments`` as for ``check_traffic``. Raises InvalidInput."""
    for name in mirror:
        _check_there(name, deployments)
    total = sum(mirror.values())
    if any(share < 0 for share in mirror.values()) or total > 100:
        raise errors.InvalidInput(
            f"The shares of copies add up to {total}", cure="Give whole per cents that add up to 100 at most."
        )


def _check_there(name: str, deployments: Mapping[str, bool]) -> None:
    if name not in deployments:
        raise errors.InvalidInput(
            f"There is no deployment '{name}'", cure=f"There are: {', '.join(sorted(deployments)) or 'none yet'}."
        )


def check_traffic(traffic: Mapping[str, int], deployments: Mapping[str, bool]) -> None:
    """``deployments`` tells for each name whether it is ready. Raises InvalidInput, Conflict."""
    for name, share in traffic.items():
        _check_there(name, deployments)
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
