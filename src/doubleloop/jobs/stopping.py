"""When a trial of a sweep is given up before its end: pure.

A trial's *interval* is the number of values of the primary metric that it has logged. A policy looks at a trial at
every ``evaluation_interval``, from ``delay_evaluation`` on; trials are compared by their values up to that interval.
Definitions: Azure ML, "Early termination policy" of hyperparameter tuning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from statistics import median
from typing import Any

Values = Mapping[str, Sequence[float]]


def judge(policy: Mapping[str, Any], goal: str, trials: Values, running: Set[str]) -> dict[str, str]:
    """Which of the running trials are given up, each with why. ``trials``: all values of each, oldest first."""
    found = {}
    sign = 1.0 if goal == "maximize" else -1.0
    for name in sorted(running):
        interval = _due(policy, len(trials.get(name, ())))
        if interval:
            why = _POLICIES[policy["type"]](policy, sign, trials, running, name, interval)
            if why:
                found[name] = f"given up after {interval} values of the metric: {why}"
    return found


def _due(policy: Mapping[str, Any], logged: int) -> int:
    """The last interval at which this trial is looked at; 0 for none yet."""
    every = policy.get("evaluation_interval") or 1
    interval = logged // every * every
    return interval if interval >= max(policy.get("delay_evaluation") or 0, 1) else 0


def _best(values: Sequence[float], interval: int, sign: float) -> float:
    """The best of the first values, larger being better."""
    return max((sign * value for value in values[:interval] if math.isfinite(value)), default=-math.inf)


def _bandit(
    policy: Mapping[str, Any], sign: float, trials: Values, running: Set[str], name: str, interval: int
) -> str:  # fmt: skip
    best = max(_best(values, interval, sign) for values in trials.values())
    own = _best(trials[name], interval, sign)
    if policy.get("slack_amount") is not None:
        least = best - policy["slack_amount"]
    elif sign > 0:
        least = best / (1 + policy["slack_factor"]) if best > 0 else best * (1 + policy["slack_factor"])
    else:
        least = best * (1 + policy["slack_factor"]) if best < 0 else best / (1 + policy["slack_factor"])
    return f"{sign * own:g} is outside the slack of the best, {sign * best:g} (bandit)" if own < least else ""


def _median(
    policy: Mapping[str, Any], sign: float, trials: Values, running: Set[str], name: str, interval: int
) -> str:  # fmt: skip
    averages = [
        sign * sum(values[:interval]) / len(values[:interval])
        for values in trials.values()
        if values and all(math.isfinite(value) for value in values[:interval])
    ]
    if not averages:
        return ""
    middle, own = median(averages), _best(trials[name], interval, sign)
    return f"{sign * own:g} is worse than the median of averages, {sign * middle:g}" if own < middle else ""


def _truncation(
    policy: Mapping[str, Any], sign: float, trials: Values, running: Set[str], name: str, interval: int
) -> str:  # fmt: skip
    among = [
        each
        for each, values in trials.items()
        if len(values) >= interval and (each in running or not policy.get("exclude_finished_jobs"))
    ]
    ranked = sorted(among, key=lambda each: (_best(trials[each], interval, sign), each))
    worst = ranked[: len(ranked) * policy["truncation_percentage"] // 100]
    return f"among the worst {policy['truncation_percentage']} % (truncation selection)" if name in worst else ""


_POLICIES = {"bandit": _bandit, "median_stopping": _median, "truncation_selection": _truncation}
