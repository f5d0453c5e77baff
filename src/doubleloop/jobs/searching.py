"""A sweep's own growth: which trials come next, which are given up, and which was best: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from doubleloop.base import canonical
from doubleloop.jobs import growing, model, sampling, stopping
from doubleloop.jobs.model import ENDED, Job, Status, Step, Task


def seed_of(job: Job, task: Task) -> int:
    """The seed of a sweep whose file names none.

    Where results may be reused, the same sweep tries the same values again, and finds them done; else each job its
    own.
    """
    said = {key: task.settings[key] for key in ("space", "sampling", "goal", "metric")}
    own = {} if task.is_deterministic and not job.force_rerun else {"job": job.id}
    return int(canonical.sha256({**said, **own})[:12], 16)


def grow(
    group: Task, steps: Sequence[Step], seen: Mapping[str, Any], seconds: float, *, fixed: int = 0
) -> growing.Growth:
    """The next trials, and the end when there are none.

    ``seen`` maps a trial to ``{"values": of the primary metric, "final"}``, ``seconds`` is how long the sweep has
    run, ``fixed`` the seed where the file gives none.
    """
    limits = group.settings["limits"]
    active = [step for step in steps if not _is_over(step, seen)]
    over = bool(limits.get("timeout")) and seconds >= limits["timeout"]
    if over:
        late = f"the sweep's time limit of {limits['timeout']} s is over"
        found = _end(group, steps, seen, late) if not active else growing.Growth()
        return replace(found, stop={step.name: late for step in active})
    add = _next(group, steps, seen, len(active), fixed)
    if not add and not active:
        return _end(group, steps, seen, "")
    return growing.Growth(tuple(add), _given_up(group, steps, seen))


def _is_over(step: Step, seen: Mapping[str, Any]) -> bool:
    """Ended, and everything that it logged has been read."""
    return step.status in ENDED and (not step.run_id or bool(seen.get(step.name, {}).get("final")))


def _next(group: Task, steps: Sequence[Step], seen: Mapping[str, Any], active: int, fixed: int) -> list[Task]:
    limits = group.settings["limits"]
    total = int(limits["max_total_trials"])
    at_once = int(limits.get("max_concurrent_trials") or total)
    add: list[Task] = []
    history = [(step.task.trial, _value(group, step, seen)) for step in steps]
    while len(steps) + len(add) < total and active + len(add) < at_once:
        index = len(steps) + len(add)
        values = sampling.sample(
            group.settings["space"], group.settings["sampling"], index, history, group.settings["goal"], fixed
        )
        if values is None:
            break
        add.append(trial(group, index, values))
        history.append((values, None))
    return add


def trial(group: Task, index: int, values: Mapping[str, Any]) -> Task:
    """One trial as a step of the job."""
    template = replace(model.task(group.settings["trial"]), name=str(index))
    inputs = {**group.inputs, **{name: {"type": None, "value": value} for name, value in values.items()}}
    task = growing.placed(template, f"{group.name}.", inputs, group.name)
    limit = group.settings["limits"].get("trial_timeout")
    return replace(
        task, trial=dict(values), display_name=f"{template.display_name}_{index}",
        timeout=float(limit) if limit else task.timeout,
    )  # fmt: skip


def _value(group: Task, step: Step, seen: Mapping[str, Any]) -> float | None:
    values = seen.get(step.name, {}).get("values", []) if step.status in ENDED else []
    return best_of(values, group.settings["goal"])


def best_of(values: Sequence[float], goal: str) -> float | None:
    """The best finite value of a metric; None when there is none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    return max(finite) if goal == "maximize" else min(finite)


def _given_up(group: Task, steps: Sequence[Step], seen: Mapping[str, Any]) -> dict[str, str]:
    policy = group.settings["termination"]
    if not policy:
        return {}
    values = {step.name: seen.get(step.name, {}).get("values", []) for step in steps}
    alive = {step.name for step in steps if step.status is Status.RUNNING and not step.stop}
    return stopping.judge(policy, group.settings["goal"], values, alive)


def _end(group: Task, steps: Sequence[Step], seen: Mapping[str, Any], late: str) -> growing.Growth:
    """The best trial's outputs are the sweep's. Trials that failed or were given up do not fail it, unless all did."""
    completed = [step for step in steps if step.status is Status.COMPLETED]
    scored = [(value, step) for step in completed if (value := _value(group, step, seen)) is not None]
    if not scored:
        metric = group.settings["metric"]
        what = f"no trial logged the metric '{metric}' to MLflow" if completed else "no trial was completed"
        failed = [f"{step.name}: {step.reason}" for step in steps if step.status is Status.FAILED][:3]
        return growing.Growth(end=Status.FAILED, reason="\n".join([late, what, *failed] if late else [what, *failed]))
    sign = -1 if group.settings["goal"] == "maximize" else 1
    _, best = min(scored, key=lambda pair: sign * pair[0])
    outputs = {name: (best.name, name) for name in best.outputs}
    return growing.Growth(outputs=outputs, end=Status.COMPLETED, reason="", best=best.name)
