"""The two durable flows of a job. Bodies are tiny: what happens is in ``preparing``, ``running`` and ``finishing``,
what happens next in ``planning``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.durable import ports
from doubleloop.jobs import finishing, groups, preparing, rules, running, store
from doubleloop.jobs.model import ENDED, Job, Status, Step
from doubleloop.jobs.preparing import ACTOR
from doubleloop.tracking import commands as notes
from doubleloop.tracking import ports as tracking
from doubleloop.tracking import queries as origins

LOG = logging.getLogger("doubleloop.jobs")

# A job looks at its steps at least this often, so that a lost signal costs seconds, never the job.
LOOK_S = 30.0
# How long a part that does not answer (MLflow starting up, a data source) is waited for: pauses in seconds.
PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60, 120, 120, 120)
CLOSING_PAUSES_S = (0.5, 1, 2, 4, 8, 15)
SLOT = "compute"


async def run_job(flow: ports.Flow, argument: dict[str, Any]) -> str:
    job = argument["job"]
    try:
        await _do(flow, "open", open_job, job)
        while not await _do(flow, "advance", advance, job):
            await flow.wait(finishing.TOPIC, LOOK_S)
    except errors.Failed as error:
        await _do(flow, "give up", give_up, job, str(error))
    await _close(flow, close_job, job)
    return str(job)


async def run_step(flow: ports.Flow, argument: dict[str, Any]) -> str:
    key = (argument["job"], argument["step"], argument["attempt"])
    try:
        await _work(flow, *key)
    except errors.Failed as error:
        await _do(flow, "fail", finishing.fail, *key, str(error))
    await _close(flow, finishing.close_run, *key)
    await _do(flow, "clear", finishing.clear, *key)
    return f"{key[0]}/{key[1]}/{key[2]}"


async def _work(flow: ports.Flow, job: str, step: str, attempt: int) -> None:
    ready = await _do(flow, "prepare", preparing.prepare, job, step, attempt)
    if ready.get("reuse"):
        await _do(flow, "reuse", finishing.reuse, job, step, attempt, ready["reuse"])
    elif ready:
        opened = await _do(flow, "open", running.open_run, job, step, attempt)
        found = (ready["python"], opened["experiment"])
        outcome = await _do(flow, "run", running.run, job, step, attempt, *found, slot=SLOT)
        if outcome is not None:
            await _do(flow, "finish", finishing.finish, job, step, attempt, outcome)


async def _do(
    flow: ports.Flow,
    name: str,
    do: Callable[..., Any],
    *arguments: Any,
    pauses: Sequence[float] = PAUSES_S,
    slot: str | None = None,
) -> Any:
    """A durable step that is repeated while something it needs is unavailable. Raises Failed with what went wrong."""
    for pause in (*pauses, None):
        answer = await flow.step(name, _told, do, flow.contexts, *arguments, slot=slot)
        if "error" in answer:
            raise errors.Failed(answer["error"])
        if "unavailable" not in answer:
            return answer["done"]
        if pause is not None:
            await flow.sleep(pause)
    raise errors.Failed(answer["unavailable"])


def _told(do: Callable[..., Any], contexts: Contexts, *arguments: Any) -> dict[str, Any]:
    """What came of it as a value: a failure is remembered like any other answer, and is none of the engine's own
    (which stop the flow, so that it goes on at the next launch)."""
    try:
        return {"done": do(contexts, *arguments)}
    except errors.Unavailable as error:
        return {"unavailable": str(error)}
    except errors.DoubleloopError as error:
        return {"error": str(error)}
    except Exception as error:
        LOG.exception("%s of %s", do.__name__, "/".join(str(each) for each in arguments[:3]))
        return {"error": f"Doubleloop itself failed: {type(error).__name__}: {error}\n  {_REPORT}"}


_REPORT = "The worker's log says more; please report it."


async def _close(flow: ports.Flow, do: Callable[..., Any], *arguments: Any) -> None:
    """End an MLflow run. When MLflow stays away the run is left open: the step's own status is what counts."""
    try:
        await _do(flow, "close", do, *arguments, pauses=CLOSING_PAUSES_S)
    except errors.Failed as error:
        LOG.warning("the MLflow run of %s stays open: %s", "/".join(map(str, arguments)), error)


async def run_group(flow: ports.Flow, argument: dict[str, Any]) -> str:
    key = (argument["job"], argument["step"], argument["attempt"])
    try:
        if await _do(flow, "open", groups.open_group, *key):
            while not (turn := await _do(flow, "advance", groups.advance, *key))["end"]:
                await flow.wait(finishing.TOPIC, turn["pause"])
            if not turn.get("done"):
                await _do(flow, "finish", groups.finish, *key, turn)
    except errors.Failed as error:
        await _do(flow, "fail", finishing.fail, *key, str(error))
    await _close(flow, finishing.close_run, *key)
    await _do(flow, "clear", finishing.clear, *key)
    return f"{key[0]}/{key[1]}/{key[2]}"


# -- the job ----------------------------------------------------------------------------------------------------------


def open_job(contexts: Contexts, job_id: str) -> None:
    """The job is running; a pipeline gets the MLflow run that its steps' runs are nested in. Raises Unavailable."""
    with contexts.write(ACTOR) as anywhere:
        job = _get(anywhere, job_id)
        if job.status is Status.QUEUED:
            job = store.set_job(anywhere.in_workspace(job.workspace), job, Status.RUNNING, started_at=anywhere.now)
    if job.kind != "pipeline" or job.run_id or job.cancelled_by or job.status in ENDED:
        return
    run_id = running.find_or_create(contexts, job, job.display_name, rules.run_tags(job, None, job_id, None), job_id)
    with contexts.write(ACTOR, job.workspace) as ctx:
        store.note_job(ctx, job_id, run_id=run_id)
        notes.note_run(ctx, run_id, origins.Origin(job.created_by, job.workspace, job_id))


def advance(contexts: Contexts, job_id: str) -> str | None:
    """One turn: start what is ready, skip what never will be; the final status once nothing is left."""
    with contexts.write(ACTOR) as anywhere:
        job = _get(anywhere, job_id)
        if job.status in ENDED:
            return job.status
        ctx = anywhere.in_workspace(job.workspace)
        now = groups.turn(ctx, job, "")
        if now.end:
            _end_job(ctx, job, now.end)
        return now.end


def _end_job(ctx: Ctx, job: Job, status: Status) -> None:
    steps = [each for each in store.steps(ctx, job.id) if not each.task.parent]
    if status is Status.COMPLETED:
        _tell_end(ctx, job, status, "", job_outputs(steps))
    elif status is Status.CANCELLED:
        _tell_end(ctx, job, status, f"cancelled by {job.cancelled_by}", {})
    else:
        failed = [f"Step {each.name}: {each.reason}" for each in steps if each.status is Status.FAILED]
        _tell_end(ctx, job, status, "\n".join(failed), {})


def _tell_end(ctx: Ctx, job: Job, status: Status, error: str, outputs: dict[str, Any]) -> None:
    job = store.set_job(ctx, job, status, ended_at=ctx.now, error=error, outputs=outputs)
    if job.notify:
        told = {"job": job.id, "status": status, "reason": error, "outputs": outputs}
        durable.signal(ctx, job.notify, f"job:{job.id}", told, key=f"job:{job.id}/{job.round}")


def job_outputs(steps: list[Step]) -> dict[str, dict[str, Any]]:
    """The outputs the job's file names, found in the outputs of the steps."""
    return {
        str(name): {**step.outputs[output], "step": step.name, "output": output}
        for step in steps
        for output, asked in step.task.outputs.items()
        if output in step.outputs
        for name in asked.get("job_outputs", ())
    }


def give_up(contexts: Contexts, job_id: str, reason: str) -> str:
    """The job's own flow failed: end it, and let what still runs be stopped."""
    with contexts.write(ACTOR) as anywhere:
        job = _get(anywhere, job_id)
        if job.status in ENDED:
            return job.status
        ctx = anywhere.in_workspace(job.workspace)
        store.note_job(ctx, job_id, cancelled_by=job.cancelled_by or ACTOR.id)
        for step in store.steps(ctx, job_id):
            if step.status in (Status.QUEUED, Status.PREPARING):
                store.end_step(ctx, job, step, Status.CANCELLED, reason="the job failed")
        _tell_end(ctx, job, Status.FAILED, reason, {})
    return Status.FAILED


_MLFLOW = {Status.COMPLETED: "FINISHED", Status.FAILED: "FAILED", Status.CANCELLED: "KILLED"}


def close_job(contexts: Contexts, job_id: str) -> None:
    """End the MLflow run of a pipeline. Raises Unavailable."""
    with contexts.read(ACTOR) as ctx:
        job = _get(ctx, job_id, lock=False)
    if job.kind == "pipeline" and job.run_id and job.status in _MLFLOW:
        contexts.port(tracking.Tracking).of(job.workspace).end_run(job.run_id, _MLFLOW[job.status])


def _get(ctx: Ctx, job_id: str, *, lock: bool = True) -> Job:
    job = store.get(ctx, job_id, lock=lock)
    if job is None:
        raise errors.NotFound(f"There is no job {job_id}")
    return job


WORKFLOWS: dict[str, ports.Body] = {"jobs.run": run_job, "jobs.step": run_step, "jobs.group": run_group}
