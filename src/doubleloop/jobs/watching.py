"""What a sweep or an AutoML job sees of its trials while they run: the values of the primary metric, from MLflow."""

from __future__ import annotations

from typing import Any

from doubleloop.db.context import Contexts
from doubleloop.jobs import logs, searching, store
from doubleloop.jobs.model import ENDED, Job, Kind, Status, Step
from doubleloop.jobs.preparing import ACTOR, find
from doubleloop.tracking import ports as tracking


def look(contexts: Contexts, job_id: str, name: str, attempt: int) -> None:
    """Keep the values seen so far with the group, each trial's until it has ended. Raises Unavailable."""
    with contexts.read(ACTOR) as ctx:
        job, group = find(ctx, job_id, name)
        if not group.task.kind.is_search or group.attempt != attempt or group.status in ENDED:
            return
        steps = [each for each in store.steps(ctx, job_id) if each.task.parent == name]
    seen = dict(group.progress)
    note = logs.Prelude(contexts, group)
    for step in steps:
        before = seen.get(step.name, {})
        if before.get("final") or not step.run_id:
            continue
        server = contexts.port(tracking.Tracking).of(job.workspace)
        values = server.metric_history(step.run_id, group.task.settings["metric"])
        final = step.status in ENDED
        seen[step.name] = {"values": [value for _, value in values], "final": final}
        if final:
            note(_line(group, step, seen[step.name]["values"]))
    if seen != group.progress:
        with contexts.write(ACTOR, job.workspace) as ctx:
            store.note_step(ctx, group, progress=seen)


def _line(group: Step, step: Step, values: list[float]) -> str:
    best = searching.best_of(values, group.task.settings["goal"])
    tried = ", ".join(f"{name}={value}" for name, value in step.task.trial.items())
    told = f"{group.task.settings['metric']} = {best:g}" if best is not None else "logged no metric"
    if not step.task.trial:  # no trial: the report on the best one
        return f"{step.name}: {step.status}" + (f", {told}" if best is not None else "")
    return f"trial {step.name.rpartition('.')[2]} ({tried}): {step.status}, {told}"


def tell_best(contexts: Contexts, job: Job, group: Step, best: Step | None) -> None:
    """The sweep's run says which trial was best, with its values, as Azure ML's does. Raises Unavailable."""
    if best is None or not group.run_id or best.status is not Status.COMPLETED:
        return
    server = contexts.port(tracking.Tracking).of(job.workspace)
    settings = group.task.settings
    value = searching.best_of(group.progress.get(best.name, {}).get("values", []), settings["goal"])
    tags: dict[str, Any] = {
        **({"automl_best_child_run_id": best.run_id} if group.task.kind is Kind.AUTOML else {}),
        "best_child_run_id": best.run_id,
        "best_child": best.name,
        "primary_metric": settings["metric"],
        "goal": settings["goal"],
        **{f"best.{name}": each for name, each in best.task.trial.items()},
    }
    for key, each in tags.items():
        server.set_tag(group.run_id, key, str(each))
    if value is not None:
        server.log_metric(group.run_id, settings["metric"], value)
