"""A group at work: it opens, grows turn by turn, and ends with outputs of its steps.

A job's own steps are a group without a row: ``advance`` is the one turn of both.
"""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.jobs import finishing, growing, learning, logs, planning, running, searching, store, trainer, watching
from doubleloop.jobs.model import ENDED, Job, Kind, Status, Step
from doubleloop.jobs.preparing import ACTOR, find, load

# How often a group looks at its steps when nothing is told, and a sweep at its trials' metrics, in seconds.
LOOK_S = 30.0
WATCH_S = 5.0


def open_group(contexts: Contexts, job_id: str, name: str, attempt: int) -> bool:
    """Give the group its MLflow run, in which its steps' runs are nested; whether it goes on. Raises Unavailable."""
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
    if step.attempt != attempt or step.status not in (Status.PREPARING, Status.RUNNING):
        return False
    running.open_run(contexts, job_id, name, attempt)
    found = {learning.TRAINER: trainer.kept(contexts)} if step.task.kind is Kind.AUTOML and not step.progress else None
    with contexts.write(ACTOR) as ctx:
        job, step = load(ctx, job_id, name)
        if step.attempt != attempt or step.status is not Status.PREPARING:
            return step.status is Status.RUNNING
        catalog.link(ctx.in_workspace(job.workspace), step.id, "part", f"job:{job.id}")
        if found:
            store.note_step(ctx, step, progress=found)
        store.run_step(ctx.in_workspace(job.workspace), step)
    return True


def advance(contexts: Contexts, job_id: str, name: str, attempt: int) -> dict[str, Any]:
    """One turn: add what comes next, start what is ready, skip what never will be.

    Returns ``{"end": status or None, "reason", "outputs": name → (step, output), "best"}``, and the seconds until the
    next look. Raises Unavailable while a sweep's metrics cannot be read.
    """
    watching.look(contexts, job_id, name, attempt)
    with contexts.write(ACTOR) as anywhere:
        job, group = load(anywhere, job_id, name)
        if group.attempt != attempt or group.status is not Status.RUNNING:
            return {"end": group.status, "done": True}
        ctx = anywhere.in_workspace(job.workspace)
        growth = _grow(ctx, job, group)
        if job.cancelled_by is None:
            store.add_steps(ctx, job, growth.add)
            for child, why in growth.stop.items():
                _stop(ctx, job, child, why)
        now = turn(ctx, job, name)
        end = now.end
        if now.end and group.task.kind.is_search and job.cancelled_by is None:
            end = growth.end  # trials that failed or were given up are the sweep's to judge
    return {
        "end": end,
        "reason": growth.reason,
        "outputs": {key: list(source) for key, source in growth.outputs.items()},
        "best": growth.best,
        "pause": 0.0 if now.end and not end else _pause(group),
    }


def _pause(group: Step) -> float:
    settings = group.task.settings
    watches = group.task.kind.is_search and (settings["termination"] or settings["limits"].get("timeout"))
    return WATCH_S if watches else LOOK_S


def _grow(ctx: Ctx, job: Job, group: Step) -> growing.Growth:
    steps = [each for each in store.steps(ctx, job.id) if each.task.parent == group.name]
    seconds = (ctx.now - group.started_at).total_seconds() if group.started_at else 0.0
    if group.task.kind is Kind.AUTOML:
        return learning.grow(group.task, steps, group.progress, seconds)
    if group.task.kind is Kind.SWEEP:
        return searching.grow(group.task, steps, group.progress, seconds, fixed=searching.seed_of(job, group.task))
    return growing.grow(group.task, steps)


def _stop(ctx: Ctx, job: Job, name: str, why: str) -> None:
    step = store.step(ctx, job.id, name)
    if step is None or step.status in ENDED or step.stop:
        return
    if step.status in (Status.QUEUED, Status.PREPARING):
        store.end_step(ctx, job, step, Status.CANCELLED, reason=why)
    else:
        store.note_step(ctx, step, stop=why)


def turn(ctx: Ctx, job: Job, scope: str) -> planning.Turn:
    """Carry out the next turn of a job ("") or group: begin, skip and cancel its steps."""
    steps = {step.name: step for step in store.steps(ctx, job.id) if step.task.parent == scope}
    group = store.step(ctx, job.id, scope) if scope else None
    now = planning.turn(
        [planning.node(step.task) for step in steps.values()],
        {name: planning.state(step) for name, step in steps.items()},
        cancelled=job.cancelled_by is not None,
        go_on=_goes_on(job, group),
    )
    for name in now.start:
        begin(ctx, job, steps[name])
    for name, why in now.skip.items():
        store.end_step(ctx, job, steps[name], Status.SKIPPED, reason=f"skipped, because {why}")
    for name in now.cancel:
        store.end_step(ctx, job, steps[name], Status.CANCELLED, reason=f"cancelled by {job.cancelled_by}")
    return now


def _goes_on(job: Job, group: Step | None) -> bool:
    if group is None:
        return job.continue_on_step_failure
    return group.task.kind.is_search or bool(group.task.settings.get("go_on"))


def begin(ctx: Ctx, job: Job, step: Step) -> None:
    attempt = store.begin(ctx, job, step)
    argument = {"job": job.id, "step": step.name, "attempt": attempt}
    durable.start(ctx, workflow_of(step), f"{job.id}/{step.name}/{attempt}", argument)


def workflow_of(step: Step) -> str:
    return "jobs.group" if step.task.kind.is_group else "jobs.step"


def finish(contexts: Contexts, job_id: str, name: str, attempt: int, decision: dict[str, Any]) -> str:
    """End the group: its outputs are those of its steps, registered under the names that the file gives them."""
    with contexts.read(ACTOR) as ctx:
        job, group = find(ctx, job_id, name)
        steps = {each.name: each for each in store.steps(ctx, job_id) if each.task.parent == name}
    if group.attempt != attempt or group.status in ENDED:
        return group.status
    status, reason = Status(decision["end"]), str(decision.get("reason") or "")
    outputs: dict[str, dict[str, Any]] = {}
    try:
        if status is Status.COMPLETED:
            outputs = finishing.register(contexts, job, group, _outputs(group, steps, decision))
            with contexts.write(ACTOR, job.workspace) as ctx:
                for source in {str(each["from"]) for each in outputs.values()}:
                    catalog.link(ctx, source, "output", group.id)
            watching.tell_best(contexts, job, group, steps.get(str(decision.get("best"))))
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        status, reason = Status.FAILED, str(error)
    if status is Status.FAILED and not reason:
        failed = [each for each in steps.values() if each.status is Status.FAILED]
        reason = "\n".join(f"Step {each.name}: {each.reason}" for each in failed) or "a step in it did not complete"
    if status is Status.CANCELLED and not reason:
        reason = f"cancelled by {job.cancelled_by}" if job.cancelled_by else "a step in it was cancelled"
    return finishing.end(contexts, job_id, name, attempt, status, reason, outputs=outputs)


def _outputs(group: Step, steps: dict[str, Step], decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if group.task.kind is Kind.PARALLEL_FOR:
        return {}
    found = {}
    for name, (child, output) in decision["outputs"].items():
        step = steps.get(child)
        if step is None or step.status is Status.SKIPPED:
            continue  # not taken: who needs it is not taken either
        if output not in step.outputs:
            raise errors.Failed(f"Step {child} left no output '{output}', which is the output '{name}' of {group.name}")
        found[name] = {**step.outputs[output], "from": step.id}
    return found


def note(contexts: Contexts, job_id: str, name: str, line: str) -> None:
    """A line of the group's log."""
    with contexts.read(ACTOR) as ctx:
        _, step = find(ctx, job_id, name)
    logs.Prelude(contexts, step)(line)
