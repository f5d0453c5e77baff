"""From a prepared step to the end of its process: MLflow run, token, files in place, start, wait, cancel."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.compute import model as compute_model
from doubleloop.compute import ports as compute
from doubleloop.db.context import Contexts, Ctx
from doubleloop.identity import commands as identity
from doubleloop.jobs import launching, minibatches, places, rules, store
from doubleloop.jobs.model import Job, Status, Step
from doubleloop.jobs.preparing import ACTOR, find, load, owner
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.tracking import commands as notes
from doubleloop.tracking import ports as tracking
from doubleloop.tracking import queries as origins
from doubleloop.vault import commands as vault

# How long a cancel may go unnoticed while a command runs.
LOOK_S = 0.5
# A token outlives its step by this much, should the worker be down when the step ends; then it is revoked anyway.
TOKEN_MARGIN = timedelta(hours=1)
TOKEN_WITHOUT_LIMIT = timedelta(days=7)


def open_run(contexts: Contexts, job_id: str, name: str, attempt: int) -> dict[str, str]:
    """The step's MLflow run, made once however often this is called: ``{"run", "experiment"}``. Raises Unavailable."""
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
    experiment = contexts.port(tracking.Tracking).of(job.workspace).experiment_id(job.experiment)
    if step.run_id:
        return {"run": step.run_id, "experiment": experiment}
    is_whole = job.kind != "pipeline" and not step.task.parent  # the job is this step
    title = job.display_name if is_whole else step.task.display_name or name
    with contexts.read(ACTOR) as ctx:
        around = store.step(ctx, job_id, step.task.parent) if step.task.parent else None
    parent = around.run_id if around else None if is_whole else job.run_id
    key = f"{job_id}/{name}/{attempt}"
    run_id = find_or_create(contexts, job, title, rules.run_tags(job, name, key, parent, step.task.trial), key)
    with contexts.write(ACTOR, job.workspace) as ctx:
        store.note_step(ctx, step, run_id=run_id)
        if is_whole:
            store.note_job(ctx, job.id, run_id=run_id)
        notes.note_run(ctx, run_id, origins.Origin(job.created_by, job.workspace, job.id, name))
    return {"run": run_id, "experiment": experiment}


def find_or_create(contexts: Contexts, job: Job, title: str, tags: dict[str, str], key: str) -> str:
    server = contexts.port(tracking.Tracking).of(job.workspace)
    found = server.find_run(job.experiment, "doubleloop.key", key)
    return found or server.create_run(job.experiment, title, tags, job.created_by)


def run(
    contexts: Contexts, job_id: str, name: str, attempt: int, python: str, experiment: str
) -> dict[str, Any] | None:
    """Start the command, or find it running, and wait for its end. What became of it, or None if it was not to run.

    ``python`` is the interpreter of its environment, ``experiment`` MLflow's id. Runs inside a compute slot. Doing it
    again after a crash attaches to the same process.
    """
    if not _claim(contexts, job_id, name, attempt):
        return None
    with contexts.read(ACTOR) as ctx:
        job, step = find(ctx, job_id, name)
    machine = contexts.port(compute.Compute)
    before = _before(machine, step.run, attempt)
    if before in (None, compute_model.State.QUEUED):
        secret = _token(contexts, job, step) if before is None else ""
        variables = _tracking_variables(contexts, job, step, experiment, secret)
        machine.start(_asked(contexts, job, step, Path(python), variables))
    return _outcome(_wait(contexts, machine, step, attempt))


def _claim(contexts: Contexts, job_id: str, name: str, attempt: int) -> bool:
    """From preparing to running, unless somebody cancelled in between."""
    with contexts.write(ACTOR) as ctx:
        job, step = load(ctx, job_id, name)
        if step.attempt != attempt or step.status not in (Status.PREPARING, Status.RUNNING):
            return False
        if (job.cancelled_by or step.stop) and step.status is Status.PREPARING:
            return False
        store.run_step(ctx.in_workspace(job.workspace), step)
    return True


def _before(machine: compute.Compute, run_id: str, attempt: int) -> compute_model.State | None:
    """None: compute never heard of it. Queued: it was told (with a token), and we were killed before it began."""
    try:
        return machine.poll(run_id, attempt).state
    except errors.NotFound:
        return None


def _asked(
    contexts: Contexts, job: Job, step: Step, python: Path, tracking_variables: dict[str, str]
) -> compute_model.StepRun:
    """Everything compute needs to know, with inputs and code laid in place."""
    settings = contexts.port(Settings)
    root = places.folder(contexts, step)
    blobs = contexts.port(storage.Blobs)
    inputs = {name: _lay_input(blobs, root / "inputs", name, each) for name, each in step.inputs.items()}
    outputs = outputs_of(root, job, step)
    paths = {name: str(each.path) for name, each in outputs.items()}
    given = vault.give(contexts, ACTOR, job.created_by, job.workspace, step.task.environment_variables, step.id)
    variables = rules.environment_variables(job, step, step.task, tracking_variables)
    if step.task.minibatches:
        command = minibatches.command(contexts, step, inputs, outputs)
    else:
        command = rules.render(step.task, job.id, inputs, paths)
    return compute_model.StepRun(
        id=step.run,
        attempt=step.attempt,
        command=command,
        launcher=launching.told(step, job.id, inputs, paths),
        python=python,
        code=_lay_code(blobs, root / "code", step.task.code) if step.task.code else None,
        env={name: value for name, value in variables.items() if name not in given},
        secrets=given,
        inputs={name: value for name, value in inputs.items() if value is not None},
        outputs=outputs,
        timeout_s=step.task.timeout or settings.step_timeout,
        quota_bytes=settings.step_quota,
    )


def outputs_of(root: Path, job: Job, step: Step) -> dict[str, compute_model.Output]:
    """Where the command of this attempt writes each output."""
    return {
        name: compute_model.Output(
            rules.output_place(root / "outputs", name, each, rules.output_address(each, job.id)),
            "uri_file" if rules.is_file(rules.output_type(each)) else rules.output_type(each),
        )
        for name, each in step.task.outputs.items()
    }


def _lay_input(blobs: storage.Blobs, root: Path, name: str, each: dict[str, Any]) -> str | None:
    """A literal as text, or the path of a private copy: a file in a folder of its own, or a folder."""
    if "reference" not in each:
        return rules.text(each.get("value"))
    reference = str(each["reference"])
    place = root / name / rules.file_name(name, reference)
    laid = blobs.materialise(reference, place, writable=True)
    return str(laid)


def _lay_code(blobs: storage.Blobs, place: Path, reference: str) -> Path:
    if reference.startswith("blob:"):
        blobs.materialise(reference, place / "code", writable=True)
        return place
    laid = blobs.materialise(reference, place, writable=True)
    if laid.is_dir():
        return laid
    inside = place.parent / "code-folder" / rules.file_name("code", reference)
    inside.parent.mkdir(exist_ok=True)
    laid.replace(inside)
    return inside.parent


def _token(contexts: Contexts, job: Job, step: Step) -> str:
    """A token of the job's owner that ends with the step; its id is kept so that it can be revoked."""
    timeout = step.task.timeout or contexts.port(Settings).step_timeout
    lifetime = timedelta(seconds=timeout) + TOKEN_MARGIN if timeout else TOKEN_WITHOUT_LIMIT
    with contexts.write(owner(job, step), job.workspace) as ctx:
        revoke(ctx, step)
        token, secret = identity.create_token(
            ctx, job.created_by, f"job:{job.id}/{step.name}", lifetime=lifetime, workspace=job.workspace
        )
        store.note_step(ctx, step, token=token.id)
    return secret


def revoke(ctx: Ctx, step: Step) -> None:
    """Take the command's token back, if it has one."""
    if step.token:
        # Who owns a token may log out of it, but only by its secret, which we do not keep.
        identity.revoke_token(ctx.acting_as(ACTOR), step.token)


def _tracking_variables(contexts: Contexts, job: Job, step: Step, experiment: str, secret: str) -> dict[str, str]:
    """Where the command finds its MLflow run."""
    settings = contexts.port(Settings)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    return {
        "MLFLOW_TRACKING_URI": f"http://{host}:{settings.port}/mlflow/w/{job.workspace}",
        "MLFLOW_TRACKING_TOKEN": secret,
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_EXPERIMENT_ID": experiment,
        **({"MLFLOW_RUN_ID": step.run_id} if step.run_id else {}),
    }


def _wait(contexts: Contexts, machine: compute.Compute, step: Step, attempt: int) -> compute_model.Status:
    told = False
    while True:
        status = machine.wait(step.run, LOOK_S, attempt)
        if status.state.ended:
            return status
        if not told and _is_to_end(contexts, step):
            machine.cancel(step.run, attempt)
            told = True


def _is_to_end(contexts: Contexts, step: Step) -> bool:
    """Somebody cancelled the job, or the step's group has given the step up."""
    with contexts.read(ACTOR) as ctx:
        job, now = store.get(ctx, step.job), store.step(ctx, step.job, step.name)
    return job is None or job.cancelled_by is not None or now is None or bool(now.stop)


def _outcome(status: compute_model.Status) -> dict[str, Any]:
    """The status as JSON: what ``finishing`` works from, and what a replay remembers."""
    ended = status.exit
    return {
        "state": status.state.value,
        "reason": status.reason,
        "message": status.message,
        "exit_code": ended.exit_code if ended else None,
        "produced": {name: each.kind for name, each in ended.outputs.items()} if ended else {},
        "usage": {
            "max_rss": ended.max_rss, "cpu_seconds": ended.cpu_seconds, "disk_bytes": ended.disk_bytes,
            "log_bytes": ended.log_bytes, "log_dropped_bytes": ended.log_dropped_bytes,
            "started_at": ended.started_at, "ended_at": ended.ended_at,
        } if ended else {},
    }  # fmt: skip
