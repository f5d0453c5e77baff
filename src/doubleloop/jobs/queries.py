"""Looking at jobs: one, a page of them, their steps, the graph, the log as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from doubleloop.base import errors, paging
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.identity.model import WorkspaceKind
from doubleloop.jobs import logs, planning, store, trainer
from doubleloop.jobs.model import ENDED, Graph, Job, Status, Step, Usage
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.workspaces import queries as workspaces


def show(ctx: Ctx, id_: str, permission: Action = Action.JOB_READ, resource: str | None = None) -> Job:
    """Raises NotFound, also for a job of another workspace. ``permission``: where another right leads to it."""
    identity.permit(ctx, permission, resource=resource)
    return _here(ctx, id_)


def _here(ctx: Ctx, id_: str) -> Job:
    job = store.get(ctx, id_)
    if job is None or (ctx.workspace is not None and job.workspace != ctx.workspace):
        raise errors.NotFound(
            f"There is no job {id_} in {ctx.workspace}", cure="`doubleloop job list` shows those there are."
        )
    return job


def classes_of_trainer(model: Path) -> tuple[str, ...]:
    """Names that the pickles of a model may mention because the code that it brings along is ours, unchanged."""
    return trainer.CLASSES if trainer.is_unchanged(model) else ()


def document(ctx: Ctx, reference: str) -> specs.Document:
    """What was submitted as the job that ``reference`` (``azureml:NAME``) names, to be started again.

    Raises NotFound for a job that is not there, or that no document describes (one step that an endpoint started).
    """
    name = reference.removeprefix("azureml:").rpartition("/")[2]
    wire = store.document(ctx, show(ctx, name).id)
    if wire is None:
        raise errors.NotFound(
            f"Of job {name} it is not kept what was submitted", cure="Name the job's file instead, or submit it again."
        )
    return documents.from_wire(wire)


def get(ctx: Ctx, id_: str) -> Job | None:
    """The job wherever it ran, or None: for who started it and asks whether it is there, or explains what it made."""
    found = store.get(ctx, id_)
    if found is not None:
        identity.permit(ctx, Action.JOB_READ, found.workspace)
    return found


def list(
    ctx: Ctx,
    *,
    statuses: Sequence[str] = (),
    kind: str | None = None,
    created_by: str | None = None,
    experiment: str | None = None,
    archived: bool | None = False,
    cursor: str | None = None,
    limit: int = paging.DEFAULT_LIMIT,
) -> paging.Page[Job]:
    """Jobs of the context's workspace, newest first; ``archived`` None: those that are archived too.

    Raises InvalidInput for a status or cursor that is none.
    """
    sees = things.seen(ctx, Action.JOB_READ, "job")
    assert ctx.workspace is not None
    if cursor is not None and not cursor.isdigit():
        raise errors.InvalidInput(f"'{cursor}' is not a cursor", cure="Use the one that came with the page before.")
    try:
        wanted = tuple(Status(status) for status in statuses)
    except ValueError as error:
        raise errors.InvalidInput(str(error), cure=f"One of {', '.join(Status)}.") from None
    limit = min(max(limit, 1), paging.MAX_LIMIT)
    place = ctx.workspace

    def page(cursor: str | None, limit: int) -> paging.Page[Job]:
        return store.page(
            ctx, place, statuses=wanted, kind=kind, created_by=created_by, experiment=experiment, archived=archived,
            cursor=cursor, limit=limit,
        )  # fmt: skip

    if things.sees_all(ctx, Action.JOB_READ, "job"):
        return page(cursor, limit)
    return paging.filled(page, lambda job: sees(job.id), cursor, limit)


def within(ctx: Ctx, since: datetime, until: datetime) -> tuple[Job, ...]:
    """Jobs of the workspace that ended or started in ``since <= time < until``."""
    identity.permit(ctx, Action.JOB_READ)
    assert ctx.workspace is not None
    return tuple(store.within(ctx, ctx.workspace, since, until))


def usage(ctx: Ctx, since: datetime, until: datetime) -> Sequence[Usage]:
    """How long the steps of every workspace had the machine in that time. The caller permits it."""
    return store.usage(ctx, since, until)


def counts(ctx: Ctx) -> dict[Status, int]:
    """How many jobs of the workspace have each status."""
    identity.permit(ctx, Action.JOB_READ)
    assert ctx.workspace is not None
    return store.counts(ctx, ctx.workspace)


def steps(ctx: Ctx, id_: str) -> tuple[Step, ...]:
    """The newest attempt of each step, in the order of the file. Raises NotFound."""
    return tuple(store.steps(ctx, show(ctx, id_).id))


def _step(id_: str, found: tuple[Step, ...], name: str | None) -> Step:
    if name is None and len(found) == 1:
        return found[0]
    for each in found:
        if each.name == name:
            return each
    raise errors.NotFound(
        f"Job {id_} has no step '{name}'" if name else f"Job {id_} has several steps",
        cure=f"Its steps: {', '.join(each.name for each in found)}.",
    )


def step(ctx: Ctx, id_: str, name: str | None = None) -> Step:
    """One step; without a name that of a command job. Raises NotFound, naming the steps there are."""
    return _step(id_, steps(ctx, id_), name)


def attempts(ctx: Ctx, id_: str, name: str) -> tuple[dict[str, Any], ...]:
    """Attempts of a step before the newest, oldest first: status, reason, exit_code, run_id, started_at, ended_at."""
    return tuple(store.attempts(ctx, id_, step(ctx, id_, name).name))


def graph(ctx: Ctx, id_: str) -> Graph:
    """Steps and what flows between them. Raises NotFound."""
    found = steps(ctx, id_)
    return Graph(found, planning.edges(each.task for each in found))


def log(ctx: Ctx, id_: str, name: str | None = None, offset: int = 0, *, attempt: int = 0) -> tuple[bytes, bool]:
    """At most 1 MiB of a step's log from byte ``offset`` on, and whether that was the end.

    Follow a step by asking again from ``offset + len(answer)`` until the end is told. ``attempt`` 0 is the newest.
    Raises NotFound.
    """
    identity.permit(ctx, Action.LOG_READ)
    found = _step(id_, tuple(store.steps(ctx, _here(ctx, id_).id)), name)
    if attempt and attempt != found.attempt:
        return _log_of_earlier(ctx, found, attempt, offset)
    chunk = logs.read(ctx, found, offset)
    over = found.status in ENDED and (found.log is not None or found.attempt == 0)
    return chunk, over and len(chunk) < logs.CHUNK_BYTES


def is_log_noted(ctx: Ctx) -> bool:
    """Whether reading logs of the context's workspace stands on record: what jobs of production print may be what its
    data holds."""
    return workspaces.get(ctx, str(ctx.workspace)).kind is WorkspaceKind.PRODUCTION


def _log_of_earlier(ctx: Ctx, found: Step, attempt: int, offset: int) -> tuple[bytes, bool]:
    for each in store.attempts(ctx, found.job, found.name):
        if each["attempt"] == attempt:
            chunk = logs.read_kept(ctx, each["log"], offset) if each["log"] else b""
            return chunk, len(chunk) < logs.CHUNK_BYTES
    raise errors.NotFound(f"Step {found.name} had no attempt {attempt}", cure=f"Its newest is {found.attempt}.")
