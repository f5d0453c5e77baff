"""How many instances a deployment should have by the requests it has: pure.

The rule is that of Kubernetes' Horizontal Pod Autoscaler over what Knative's autoscaler measures: the mean number of
requests in flight, divided by what an instance is to have. Growing is done at once; shrinking goes only down to the
highest number that was asked for within a stabilisation window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from doubleloop.gateway.desired import Scale


@dataclass(frozen=True)
class Sample:
    """``load``: mean of the requests in flight, queued ones included, over the interval that ended ``at`` (seconds)."""

    at: float
    load: float


@dataclass(frozen=True)
class Decision:
    wanted: int
    why: str


def clamp(instances: int, policy: Scale) -> int:
    return min(max(instances, policy.min_instances), policy.max_instances)


def recommended(load: float, policy: Scale, per_instance: int) -> int:
    """ceil(load / (requests per instance x target)): the fewest instances whose utilisation is at most the target."""
    target = per_instance * policy.target_utilization_percentage / 100
    # 2.1 / 0.7 is a little more than 3 in floating point, and no reason for a fourth.
    return clamp(math.ceil(round(load / target, 6)), policy)


def decide(
    present: int, history: Sequence[Sample], policy: Scale, per_instance: int, window: float, now: float
) -> Decision:
    """``history``: oldest first; ``window``: seconds of stabilisation; ``per_instance``: requests at the same time.

    Up to what the newest sample asks for, at once. Down to the most that any sample within the window asks for, and
    only if there are samples from the whole window: a gateway that has just started knows nothing of the load before.
    """
    inside = clamp(present, policy)
    if inside != present:
        bounds = f"min_instances {policy.min_instances}, max_instances {policy.max_instances}"
        return Decision(inside, f"{present} instances are outside of what is allowed now ({bounds})")
    if not history:
        return Decision(present, "")
    newest = history[-1]
    aim = f"{policy.target_utilization_percentage} % of {per_instance} each is the target"
    wanted = recommended(newest.load, policy, per_instance)
    if wanted > present:
        return Decision(wanted, f"{newest.load:.1f} requests in flight; {aim}")
    if now - history[0].at < window:
        return Decision(present, "")
    most = max((sample.load for sample in history if now - sample.at <= window), default=newest.load)
    wanted = recommended(most, policy, per_instance)
    if wanted < present:
        return Decision(wanted, f"at most {most:.1f} requests in flight for {window:g} s; {aim}")
    return Decision(present, "")


def kept(history: Sequence[Sample], window: float, now: float) -> list[Sample]:
    """The samples of the window, and the newest one before it, which shows that the window is covered."""
    older = sum(now - sample.at >= window for sample in history)
    return list(history[max(0, older - 1) :])
