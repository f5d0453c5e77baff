"""An AutoML job's own growth: which trials come next, when the ensembles, and which model is best: pure.

Its steps are ``JOB.0``, ``JOB.1`` … (the trials), ``JOB.vote`` and ``JOB.stack`` (ensembles of the best trials) and
``JOB.report`` (the best model on test data, and what it goes by). Each runs the trainer (the room ``trainers``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from doubleloop.base import canonical
from doubleloop.jobs import algorithms, growing, searching
from doubleloop.jobs.model import ENDED, Kind, Status, Step, Task
from doubleloop.specs.kinds import automl

ENVIRONMENT_NAME = "AutoML"
ENVIRONMENT = f"azureml://registries/azureml/environments/{ENVIRONMENT_NAME}/labels/latest"
VOTE, STACK, REPORT = "vote", "stack", "report"
ROLES = {VOTE: "VotingEnsemble", STACK: "StackEnsemble"}
# What a group keeps about the trainer beside what it has seen of its trials: ``{"code", "python", "packages"}``.
TRAINER = "trainer"
# Azure ML, "Configure automated ML experiments", on early stopping: no look before the 20th trial, and an end when the
# ten after it are no better.
WARM_UP, PATIENCE = 20, 10
MEMBERS = 8  # most trials that an ensemble is chosen from

Seen = Mapping[str, Any]


def settings(wanted: automl.Automl) -> dict[str, Any]:
    """What an AutoML group must know, as JSON."""
    limits = wanted.limits or automl.Limits.model_validate({})
    training = wanted.training or automl.Training.model_validate({})
    stacks = training.enable_stack_ensemble
    if stacks is None:
        stacks = wanted.task != "forecasting"
    ensembles = [name for name, on in ((VOTE, training.enable_vote_ensemble), (STACK, stacks)) if on]
    return {
        "metric": wanted.metric(),
        "goal": "minimize" if wanted.metric() in automl.MINIMIZED else "maximize",
        "termination": None,
        "limits": {
            "max_total_trials": limits.max_trials, "max_concurrent_trials": limits.max_concurrent_trials,
            "timeout": limits.timeout_minutes * 60, "trial_timeout": limits.trial_timeout_minutes * 60,
        },
        "early": limits.enable_early_termination,
        "exit_score": limits.exit_score,
        "threads": limits.max_cores_per_trial or 1,
        "algorithms": list(wanted.algorithms()),
        "ensembles": ensembles,
        "explain": training.enable_model_explainability,
        "orders": _orders(wanted, training),
    }  # fmt: skip


def _orders(wanted: automl.Automl, training: automl.Training) -> dict[str, Any]:
    """What the trainer must know whatever it is to do; see ``trainers.orders``."""
    stack = training.stack_ensemble_settings
    return {
        "task": wanted.task,
        "target": wanted.target_column_name,
        "metric": wanted.metric(),
        "goal": "minimize" if wanted.metric() in automl.MINIMIZED else "maximize",
        "validation_size": wanted.validation_data_size,
        "test_size": wanted.test_data_size,
        "folds": wanted.n_cross_validations,
        "fold_columns": wanted.cv_split_column_names,
        "weights": wanted.weight_column_name,
        "positive_label": wanted.positive_label,
        "featurization": _written(wanted.featurization),
        "forecasting": _written(wanted.forecasting),
        "stack": _written(stack),
        "level": {"debug": "DEBUG", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}.get(
            wanted.log_verbosity, "INFO"
        ),
    }


def _written(part: Any) -> dict[str, Any]:
    return part.model_dump(mode="json") if part is not None else {}


# -- growth ------------------------------------------------------------------------------------------------------------


def grow(group: Task, steps: Sequence[Step], seen: Seen, seconds: float) -> growing.Growth:
    """The next steps, and the end when there are none. ``seen``: trial → ``{"values", "final"}``, and the trainer;
    ``seconds``: how long the job has run."""
    limits = group.settings["limits"]
    active = [step for step in steps if not _is_over(step, seen)]
    if seconds >= limits["timeout"]:
        late = f"the job's time limit of {limits['timeout'] // 60} min is over"
        found = _end(group, steps, seen, late) if not active else growing.Growth()
        return replace(found, stop={step.name: late for step in active})
    trials = [step for step in steps if _role(group, step) not in (VOTE, STACK, REPORT)]
    good = _is_good_enough(group, trials, seen)
    if good and any(step in active for step in trials):
        return growing.Growth(stop={step.name: "another trial has reached exit_score" for step in active})
    add = [] if good else _more_trials(group, trials, seen, len(active))
    if add or any(step in active for step in trials):
        return growing.Growth(tuple(add))
    return _after_trials(group, steps, trials, seen, active)


def _after_trials(
    group: Task, steps: Sequence[Step], trials: Sequence[Step], seen: Seen, active: Sequence[Step]
) -> growing.Growth:
    begun = {_role(group, step) for step in steps}
    members = ranked(group, trials, seen)[:MEMBERS]
    wanted = [each for each in group.settings["ensembles"] if each not in begun]
    if wanted and len(members) > 1 and not begun & {REPORT}:
        room = max(group.settings["limits"]["max_concurrent_trials"] - len(active), 0)
        return growing.Growth(tuple(_ensemble(group, each, members, seen) for each in wanted[:room]))
    if active:
        return growing.Growth()
    best = ranked(group, steps, seen)
    has_test = "test_data" in group.inputs or group.settings["orders"]["test_size"]
    if best and REPORT not in begun and (group.settings["explain"] or has_test):
        return growing.Growth((_report(group, best[0], seen),))
    return _end(group, steps, seen, "")


def _role(group: Task, step: Step) -> str:
    return step.name[len(group.name) + 1 :]


def _is_over(step: Step, seen: Seen) -> bool:
    return step.status in ENDED and (not step.run_id or bool(seen.get(step.name, {}).get("final")))


def value(group: Task, step: Step, seen: Seen) -> float | None:
    """What a completed trial or ensemble came to; None for any other."""
    if step.status is not Status.COMPLETED or _role(group, step) == REPORT:
        return None
    return searching.best_of(seen.get(step.name, {}).get("values", []), group.settings["goal"])


def ranked(group: Task, steps: Sequence[Step], seen: Seen) -> list[Step]:
    """Those that came to something, best first; of equals the earlier."""
    sign = -1 if group.settings["goal"] == "maximize" else 1
    scored = [(found, step) for step in steps if (found := value(group, step, seen)) is not None]
    return [step for _, step in sorted(scored, key=lambda pair: sign * pair[0])]


def _is_good_enough(group: Task, trials: Sequence[Step], seen: Seen) -> bool:
    wanted = group.settings["exit_score"]
    if wanted is None:
        return False
    values = [found for step in trials if (found := value(group, step, seen)) is not None]
    return any(found >= wanted if group.settings["goal"] == "maximize" else found <= wanted for found in values)


def is_stalled(values: Sequence[float | None], goal: str) -> bool:
    """Whether the last trials are no better than those before. ``values`` of ended trials, oldest first."""
    if len(values) < WARM_UP + PATIENCE:
        return False
    sign = 1.0 if goal == "maximize" else -1.0
    signed = [sign * each if each is not None else -math.inf for each in values]
    return max(signed[-PATIENCE:]) <= max(signed[:-PATIENCE])


def _more_trials(group: Task, trials: Sequence[Step], seen: Seen, active: int) -> list[Task]:
    limits = group.settings["limits"]
    values = [value(group, step, seen) for step in trials if _is_over(step, seen)]
    if group.settings["early"] and is_stalled(values, group.settings["goal"]):
        return []
    history: list[tuple[Mapping[str, Any], float | None]] = [
        (step.task.trial, value(group, step, seen)) for step in trials
    ]
    add: list[Task] = []
    while len(history) < limits["max_total_trials"] and active + len(add) < limits["max_concurrent_trials"]:
        tried = algorithms.suggest(
            group.settings["algorithms"], len(history), history, group.settings["goal"], seed_of(group)
        )
        if tried is None:
            break
        add.append(_trial(group, len(history), tried, seen))
        history.append((tried, None))
    return add


def seed_of(group: Task) -> int:
    """The same job tries the same things and divides the rows alike; nothing of it is left to chance."""
    return int(canonical.sha256(group.settings["orders"])[:7], 16)


# -- steps -------------------------------------------------------------------------------------------------------------


def _trial(group: Task, index: int, tried: Mapping[str, Any], seen: Seen) -> Task:
    params = {name: each for name, each in tried.items() if name != algorithms.NAME}
    orders = {"algorithm": tried[algorithms.NAME], "params": params}
    inputs = {name: group.inputs[name] for name in ("training_data", "validation_data") if name in group.inputs}
    return _step(group, str(index), "trial", orders, inputs, dict(tried), seen)


def _ensemble(group: Task, role: str, members: Sequence[Step], seen: Seen) -> Task:
    inputs: dict[str, Mapping[str, Any]] = {"training_data": group.inputs["training_data"]}
    for number, member in enumerate(members):
        for output in (automl.BEST_MODEL, "state"):
            inputs[f"{output}_{number}"] = {"type": None, "step": member.name, "output": output}
    return _step(group, role, role, {}, inputs, {algorithms.NAME: ROLES[role]}, seen)


def _report(group: Task, best: Step, seen: Seen) -> Task:
    inputs = {name: group.inputs[name] for name in automl.DATA if name in group.inputs}
    model = {"type": None, "step": best.name, "output": automl.BEST_MODEL}
    orders = {"explain": group.settings["explain"]}
    return _step(group, REPORT, REPORT, orders, {**inputs, automl.BEST_MODEL: model}, {}, seen)


def _step(
    group: Task, name: str, role: str, orders: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]],
    tried: Mapping[str, Any], seen: Seen,
) -> Task:  # fmt: skip
    trainer = seen[TRAINER]
    told = {
        **group.settings["orders"], **orders, "seed": seed_of(group), "threads": group.settings["threads"],
        "python": trainer["python"], "packages": list(trainer["packages"]),
    }  # fmt: skip
    algorithm = tried.get(algorithms.NAME) or role
    return Task(
        name=f"{group.name}.{name}",
        command=_command(role, inputs),
        environment=ENVIRONMENT,
        code=trainer["code"],
        inputs=dict(inputs),
        outputs={} if role == REPORT else {automl.BEST_MODEL: _output("mlflow_model"), "state": _output("uri_folder")},
        environment_variables={
            **({"OMP_NUM_THREADS": str(group.settings["threads"])} if group.settings["threads"] > 0 else {}),
            **group.environment_variables,
            # No text of the file may be taken for an expression.
            "DOUBLELOOP_AUTOML": json.dumps(told, sort_keys=True).replace("$", "\\u0024"),
        },
        timeout=float(group.settings["limits"]["trial_timeout"]),
        is_deterministic=group.is_deterministic,
        display_name=f"{group.display_name}_{name} {algorithm}",
        kind=Kind.COMMAND,
        parent=group.name,
        trial=dict(tried),
        compute=group.compute,
    )


def _output(kind: str) -> dict[str, Any]:
    return {"type": kind, "asset": None, "version": None, "path": None, "job_outputs": []}


def _command(role: str, inputs: Mapping[str, Any]) -> str:
    words = ["exec python doubleloop_automl/run.py", role]
    for name in automl.DATA:
        if name in inputs:
            words.append(f'--{name.removesuffix("_data")} "${{{{inputs.{name}}}}}"')
    members = sum(name.startswith("state_") for name in inputs)
    for number in range(members):
        words.append(f'--member "${{{{inputs.{automl.BEST_MODEL}_{number}}}}}" "${{{{inputs.state_{number}}}}}"')
    if role == REPORT:
        words.append(f'--model "${{{{inputs.{automl.BEST_MODEL}}}}}"')
    else:
        words.append(f'--model "${{{{outputs.{automl.BEST_MODEL}}}}}" --state "${{{{outputs.state}}}}"')
    return " ".join(words)


# -- the end -----------------------------------------------------------------------------------------------------------


def _end(group: Task, steps: Sequence[Step], seen: Seen, late: str) -> growing.Growth:
    """The best model is the job's. Trials that failed or were stopped do not fail it, unless all did."""
    best = ranked(group, steps, seen)
    if not best:
        completed = any(step.status is Status.COMPLETED for step in steps)
        metric = group.settings["metric"]
        what = f"no trial came to a value of '{metric}'" if completed else "no trial was completed"
        failed = [f"{step.name}: {step.reason}" for step in steps if step.status is Status.FAILED][:3]
        return growing.Growth(end=Status.FAILED, reason="\n".join([*([late] if late else []), what, *failed]))
    kept = {name: (best[0].name, name) for name in best[0].outputs if name != "state"}
    return growing.Growth(outputs=kept, end=Status.COMPLETED, best=best[0].name)
