"""Submitting, cancelling and retrying jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from doubleloop.base import errors, ids
from doubleloop.components import queries as components
from doubleloop.db.context import Ctx
from doubleloop.durable import commands as durable
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import finishing, mapping, queries, references, store
from doubleloop.jobs.model import ENDED, Job, Status, Step, Task
from doubleloop.specs import model as specs

# Names of jobs and steps become parts of folder, run and workflow names.
MAX_NAME = 120


def submit(
    ctx: Ctx,
    document: specs.Document,
    *,
    id: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    purpose: Mapping[str, Any] | None = None,
    notify: str | None = None,
    force_rerun: bool | None = None,
    permission: Action = Action.JOB_SUBMIT,
    resource: str | None = None,
) -> Job:
    """Start a job of any kind in the context's workspace, once per ``id``.

    ``inputs`` replaces inputs of the file by name; ``purpose`` says why the system started it; ``notify`` is a
    workflow that gets a signal on topic ``job:<id>`` at the end. ``force_rerun`` None means what the file says: steps
    of a pipeline reuse earlier results unless ``settings.force_rerun``; other jobs always run, as in Azure ML.
    ``permission`` (for ``resource``) is what the actor needs, where another action than submitting leads here.
    Raises InvalidInput and NotSupported with file and line, Conflict when the name is taken.
    """
    identity.permit(ctx, permission, resource=resource)
    assert ctx.workspace is not None
    if id is not None and (known := _known(ctx, id)) is not None:
        return known
    document = mapping.with_inputs(components.inlined(ctx, document), inputs or {})
    tasks = mapping.tasks(document)
    references.check(ctx, document, tasks)
    wanted = document.model
    name = _name(ctx, document, id or wanted.name)
    settings = getattr(wanted, "settings", None)
    job = Job(
        id=name,
        workspace=ctx.workspace,
        display_name=wanted.display_name or name,
        kind=mapping.KINDS[document.kind],
        experiment=wanted.experiment_name or mapping.DEFAULT_EXPERIMENT,
        status=Status.QUEUED,
        created_by=ctx.actor.id,
        created_at=ctx.now,
        purpose=dict(purpose or {}),
        inputs=mapping.inputs_of(document),
        code=tasks[0].code if len(tasks) == 1 else None,
        description=wanted.description or "",
        tags=dict(wanted.tags),
        notify=notify,
        force_rerun=_force(document.kind, settings, force_rerun),
        continue_on_step_failure=bool(settings and settings.continue_on_step_failure),
        commits=tuple(asdict(each) for each in document.source.commits),
    )
    for task in tasks:
        _check_name(document, task.name, f"jobs.{task.name}")
    _start(ctx, job, tasks)
    store.keep_document(ctx, job.id, document.to_wire())
    return job


def submit_task(
    ctx: Ctx,
    task: Task,
    *,
    id: str | None = None,
    inputs: Mapping[str, Any],
    purpose: Mapping[str, Any],
    display_name: str = "",
    experiment: str = "",
    tags: Mapping[str, str] | None = None,
    permission: Action = Action.JOB_SUBMIT,
    resource: str | None = None,
) -> Job:
    """Start a job of one step that no file describes (an invocation of a batch endpoint), once per ``id``.

    ``inputs`` are what its page shows. Raises Conflict when the name is taken.
    """
    identity.permit(ctx, permission, resource=resource)
    assert ctx.workspace is not None
    if id is not None and (known := _known(ctx, id)) is not None:
        return known
    name = id or ids.new_id("job")
    job = Job(
        id=name, workspace=ctx.workspace, display_name=display_name or name, kind="command",
        experiment=experiment or mapping.DEFAULT_EXPERIMENT, status=Status.QUEUED, created_by=ctx.actor.id,
        created_at=ctx.now, purpose=dict(purpose), inputs=dict(inputs), code=task.code, tags=dict(tags or {}),
        force_rerun=True,
    )  # fmt: skip
    _start(ctx, job, [task])
    return job


def _known(ctx: Ctx, id_: str) -> Job | None:
    """The job that was started under this name before. Raises Conflict for one of another workspace."""
    known = store.get(ctx, id_)
    if known is not None and known.workspace != ctx.workspace:
        raise errors.Conflict(f"A job named {id_} exists in {known.workspace}", cure="Use another name.")
    return known


def _start(ctx: Ctx, job: Job, tasks: list[Task]) -> None:
    store.insert(ctx, job, tasks)
    events.record(
        ctx, "job.submitted", f"job:{job.id}", job=job.id, kind=job.kind, purpose=dict(job.purpose),
        display_name=job.display_name, steps=[task.name for task in tasks],
    )  # fmt: skip
    durable.start(ctx, "jobs.run", job.workflow, {"job": job.id})


def _name(ctx: Ctx, document: specs.Document, wanted: str | None) -> str:
    if wanted is None:
        return ids.new_id("job")
    _check_name(document, wanted, "name")
    if store.get(ctx, wanted) is not None:
        raise errors.Conflict(
            f"A job named {wanted} exists already",
            where=document.where("name"),
            cure="Leave `name` out to have one made, or use another.",
        )
    return wanted


def _check_name(document: specs.Document, name: str, place: str) -> None:
    if not ids.is_name(name.lstrip("_") or "-") or len(name) > MAX_NAME:
        raise errors.InvalidInput(
            f"'{name[:80]}' cannot be the name of a job or step",
            where=document.where(place),
            cure=f"Use letters, digits, '.', '_' and '-', at most {MAX_NAME}.",
        )


def _force(kind: str, settings: Any, wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    return kind != "pipeline_job" or bool(settings and settings.force_rerun)


def cancel(ctx: Ctx, id_: str) -> Job:
    """Ask for the end of a job: what runs is stopped, the rest never starts. Raises NotFound, Conflict when it ended.

    Asking twice is harmless.
    """
    identity.permit(ctx, Action.JOB_CANCEL)
    job = queries.show(ctx, id_)
    if job.status in ENDED:
        raise errors.Conflict(f"Job {id_} has ended: it is {job.status}")
    if job.cancelled_by is None:
        store.mark_cancelled(ctx, job, ctx.actor.id)
        groups = [each for each in store.steps(ctx, id_) if each.task.kind.is_group and each.status is Status.RUNNING]
        for workflow in (job.workflow, *(each.workflow for each in groups)):
            durable.signal(ctx, workflow, finishing.TOPIC, {"cancel": ctx.actor.id}, key=f"cancel/{workflow}")
    return queries.show(ctx, id_)


def update(ctx: Ctx, id_: str, **changes: Any) -> Job:
    """Change what people see of a job: ``display_name``, ``description``, ``experiment``, ``tags`` (the whole of them)
    and ``archived``. What it does, did and logged stays; runs stay in the experiment that they were logged to.

    Raises NotFound.
    """
    identity.permit(ctx, Action.JOB_SUBMIT, resource=f"job/{id_}")
    job = queries.show(ctx, id_)
    values = {name: value for name, value in changes.items() if getattr(job, name) != value}
    return store.change_job(ctx, job, **values) if values else job


def retry(ctx: Ctx, id_: str) -> Job:
    """Run the failed and cancelled steps of an ended job again, and those that were skipped for them.

    What is completed stays. Raises NotFound, Conflict for a job that runs or has nothing to retry.
    """
    identity.permit(ctx, Action.JOB_SUBMIT)
    queries.show(ctx, id_)
    job = store.get(ctx, id_, lock=True)
    assert job is not None
    steps = _to_run_again(store.steps(ctx, id_))
    if job.status not in ENDED:
        raise errors.Conflict(f"Job {id_} is {job.status}", cure="Cancel it first, or wait for its end.")
    if not steps or job.status is Status.COMPLETED:
        raise errors.Conflict(f"Job {id_} is completed: there is nothing to retry", cure="Submit it again.")
    for step in steps:
        store.reset(ctx, step)
    job = store.set_job(
        ctx, job, Status.QUEUED, round=job.round + 1, error="", ended_at=None, cancelled_by=None, outputs={}
    )
    durable.start(ctx, "jobs.run", job.workflow, {"job": job.id})
    return job


def _to_run_again(steps: list[Step]) -> list[Step]:
    """What is not completed, unless the group around it is: that has judged it already."""
    done = {each.name for each in steps if each.status is Status.COMPLETED}
    around = {each.name: each.task.parent for each in steps}
    found = []
    for each in steps:
        parent, is_inside = each.task.parent, False
        while parent and not is_inside:
            is_inside = parent in done
            parent = around.get(parent, "")
        if each.name not in done and not is_inside:
            found.append(each)
    return found
