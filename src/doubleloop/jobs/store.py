"""Tables of jobs, steps and past attempts. The only writer of their statuses; each change records its fact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical, paging
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.jobs import model
from doubleloop.jobs.model import ENDED, Job, Status, Step, Task

JOBS = sa.Table(
    "jobs",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(255), nullable=False, unique=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("experiment", sa.String(255), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("started_at", tables.Moment),
    sa.Column("ended_at", tables.Moment),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("outputs", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("pins", sa.Text, nullable=False),
    sa.Column("commits", sa.Text, nullable=False, server_default="[]"),
    sa.Column("run_id", sa.String(64)),
    sa.Column("code", sa.String(600)),
    sa.Column("notify", sa.String(300)),
    sa.Column("force_rerun", sa.Boolean, nullable=False),
    sa.Column("continue_on_step_failure", sa.Boolean, nullable=False),
    sa.Column("cancelled_by", sa.String(255)),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_jobs_workspace_seq", "workspace", "seq"),
)
STEPS = sa.Table(
    "job_steps",
    tables.METADATA,
    sa.Column("job", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(64)),
    sa.Column("reused_from", sa.String(520)),
    sa.Column("run_id", sa.String(64)),
    sa.Column("environment_lock", sa.String(64)),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("outputs", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("lost", sa.Boolean, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Column("token", sa.String(40)),
    sa.Column("log", sa.String(64)),
    sa.Column("usage", sa.Text, nullable=False),
    sa.Column("stop", sa.Text, nullable=False, server_default=""),
    sa.Column("progress", sa.Text, nullable=False, server_default="{}"),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("started_at", tables.Moment),
    sa.Column("ended_at", tables.Moment),
    sa.Index("ix_job_steps_workspace_digest", "workspace", "digest"),
)
# What was submitted, whole: to start the same again from a schedule or a batch endpoint.
DOCUMENTS = sa.Table(
    "job_documents",
    tables.METADATA,
    sa.Column("job", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
# What earlier attempts came to, kept when a new one begins.
ATTEMPTS = sa.Table(
    "job_attempts",
    tables.METADATA,
    sa.Column("job", sa.String(255), primary_key=True),
    sa.Column("step", sa.String(255), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("run_id", sa.String(64)),
    sa.Column("log", sa.String(64)),
    sa.Column("started_at", tables.Moment),
    sa.Column("ended_at", tables.Moment),
)

_JSON = frozenset({"purpose", "inputs", "outputs", "tags", "pins", "commits", "usage", "progress"})
# What an attempt finds out; a new attempt begins without it.
_FRESH: Mapping[str, Any] = {
    "digest": None, "reused_from": None, "run_id": None, "environment_lock": None, "inputs": {}, "outputs": {},
    "exit_code": None, "reason": "", "lost": False, "token": None, "log": None, "usage": {}, "stop": "", "progress": {},
    "started_at": None, "ended_at": None,
}  # fmt: skip


def _encode(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: canonical.dumps(value) if key in _JSON else value for key, value in values.items()}


def _job(row: sa.Row[Any]) -> Job:
    values = {key: json.loads(value) if key in _JSON else value for key, value in row._mapping.items() if key != "seq"}
    return Job(**{**values, "status": Status(values["status"]), "commits": tuple(values["commits"])})


def _step(row: sa.Row[Any]) -> Step:
    values = {key: json.loads(value) if key in _JSON else value for key, value in row._mapping.items()}
    del values["workspace"], values["position"]
    return Step(**{**values, "status": Status(values["status"]), "task": model.task(json.loads(values["task"]))})


def insert(ctx: Ctx, job: Job, tasks: Sequence[Task]) -> None:
    ctx.tx.execute(JOBS.insert().values(**_encode(asdict(job))))
    add_steps(ctx, job, tasks)


def keep_document(ctx: Ctx, job: str, wire: Mapping[str, Any]) -> None:
    ctx.tx.execute(DOCUMENTS.insert().values(job=job, document=canonical.dumps(wire)))


def document(ctx: Ctx, job: str) -> dict[str, Any] | None:
    text = ctx.tx.execute(sa.select(DOCUMENTS.c.document).where(DOCUMENTS.c.job == job)).scalar_one_or_none()
    return None if text is None else dict(json.loads(text))


def add_steps(ctx: Ctx, job: Job, tasks: Sequence[Task]) -> None:
    """More steps, behind those there are; one whose name is there already is left as it is."""
    known = {each.name: number for number, each in enumerate(steps(ctx, job.id))}
    fresh_tasks = [task for task in tasks if task.name not in known]
    for position, task in enumerate(fresh_tasks, len(known)):
        fresh = {**_FRESH, "status": Status.QUEUED, "attempt": 0, "losses": 0}
        ctx.tx.execute(
            STEPS.insert().values(
                job=job.id, name=task.name, workspace=job.workspace, position=position, created_at=ctx.now,
                task=canonical.dumps(asdict(task)), **_encode(fresh),
            )
        )  # fmt: skip


def get(ctx: Ctx, id_: str, *, lock: bool = False) -> Job | None:
    query = sa.select(JOBS).where(JOBS.c.id == id_)
    row = ctx.tx.execute(query.with_for_update() if lock else query).one_or_none()
    return _job(row) if row else None


def steps(ctx: Ctx, job: str) -> list[Step]:
    query = sa.select(STEPS).where(STEPS.c.job == job).order_by(STEPS.c.position)
    return [_step(row) for row in ctx.tx.execute(query)]


def step(ctx: Ctx, job: str, name: str) -> Step | None:
    row = ctx.tx.execute(sa.select(STEPS).where(STEPS.c.job == job, STEPS.c.name == name)).one_or_none()
    return _step(row) if row else None


def page(
    ctx: Ctx, workspace: str, *, statuses: Sequence[Status], kind: str | None, created_by: str | None,
    experiment: str | None, archived: bool | None, cursor: str | None, limit: int,
) -> paging.Page[Job]:  # fmt: skip
    """Newest first; ``archived`` None means both."""
    query = sa.select(JOBS).where(JOBS.c.workspace == workspace).order_by(JOBS.c.seq.desc()).limit(limit + 1)
    if archived is not None:
        query = query.where(JOBS.c.archived.is_(archived))
    if statuses:
        query = query.where(JOBS.c.status.in_(statuses))
    if kind:
        query = query.where(JOBS.c.kind == kind)
    if created_by:
        query = query.where(JOBS.c.created_by == created_by)
    if experiment:
        query = query.where(JOBS.c.experiment == experiment)
    if cursor:
        query = query.where(JOBS.c.seq < int(cursor))
    rows = ctx.tx.execute(query).all()
    more = str(rows[limit - 1].seq) if len(rows) > limit else None
    return paging.Page([_job(row) for row in rows[:limit]], more)


def within(ctx: Ctx, workspace: str, since: datetime, until: datetime) -> list[Job]:
    """Those that ended or started then."""
    spans = [sa.and_(column >= since, column < until) for column in (JOBS.c.ended_at, JOBS.c.started_at)]
    query = sa.select(JOBS).where(JOBS.c.workspace == workspace, sa.or_(*spans)).order_by(JOBS.c.seq)
    return [_job(row) for row in ctx.tx.execute(query)]


def unended(ctx: Ctx) -> list[Job]:
    """Of every workspace."""
    query = sa.select(JOBS).where(JOBS.c.status.not_in(ENDED)).order_by(JOBS.c.seq)
    return [_job(row) for row in ctx.tx.execute(query)]


def begun_steps(ctx: Ctx) -> list[Step]:
    """Those of every workspace that have begun and not ended."""
    query = sa.select(STEPS).where(STEPS.c.status.in_((Status.PREPARING, Status.RUNNING)))
    return [_step(row) for row in ctx.tx.execute(query)]


def counts(ctx: Ctx, workspace: str) -> dict[Status, int]:
    query = sa.select(JOBS.c.status, sa.func.count()).where(JOBS.c.workspace == workspace).group_by(JOBS.c.status)
    return {Status(status): number for status, number in ctx.tx.execute(query)}


def _facts_of(job: Job) -> dict[str, Any]:
    return {"job": job.id, "kind": job.kind, "purpose": dict(job.purpose)}


def set_job(ctx: Ctx, job: Job, status: Status, **values: Any) -> Job:
    """Move a job to ``status`` and record ``job.<status>``, with what its watchers want to know when it ended."""
    values["status"] = status
    ctx.tx.execute(JOBS.update().where(JOBS.c.id == job.id).values(**_encode(values)))
    after = replace(job, **values)
    told: dict[str, Any] = {**_facts_of(after), "status": status, "round": after.round}
    if status in ENDED:
        told |= {"reason": after.error, "outputs": dict(after.outputs)}
    events.record(ctx, f"job.{_PAST[status]}", f"job:{job.id}", **told)
    return after


_PAST = {
    Status.QUEUED: "retried", Status.RUNNING: "started", Status.COMPLETED: "completed", Status.FAILED: "failed",
    Status.CANCELLED: "cancelled", Status.SKIPPED: "skipped", Status.PREPARING: "preparing",
}  # fmt: skip


def change_job(ctx: Ctx, job: Job, **values: Any) -> Job:
    """What people see of a job, and whether it is archived; records ``job.changed`` with what there was before."""
    note_job(ctx, job.id, **values)
    told = {"before": {name: getattr(job, name) for name in values}, "after": values}
    events.record(ctx, "job.changed", f"job:{job.id}", **_facts_of(job), **told)
    return replace(job, **values)


def note_job(ctx: Ctx, job: str, **values: Any) -> None:
    """Keep something about a job that is no status."""
    ctx.tx.execute(JOBS.update().where(JOBS.c.id == job).values(**_encode(values)))


def begin(ctx: Ctx, job: Job, before: Step) -> int:
    """A new attempt of a step: what the last one came to is kept aside. Returns the attempt's number."""
    if before.attempt:
        _keep_aside(ctx, before)
    attempt = before.attempt + 1
    values = {**_FRESH, "status": Status.PREPARING, "attempt": attempt, "started_at": ctx.now}
    _update(ctx, before, values)
    events.record(ctx, "step.started", before.id, **_facts_of(job), step=before.name, attempt=attempt)
    return attempt


def _keep_aside(ctx: Ctx, step_: Step) -> None:
    key = sa.and_(ATTEMPTS.c.job == step_.job, ATTEMPTS.c.step == step_.name, ATTEMPTS.c.attempt == step_.attempt)
    if ctx.tx.execute(sa.select(ATTEMPTS.c.job).where(key)).first() is None:
        ctx.tx.execute(
            ATTEMPTS.insert().values(
                job=step_.job, step=step_.name, attempt=step_.attempt, status=step_.status, reason=step_.reason,
                exit_code=step_.exit_code, run_id=step_.run_id, log=step_.log, started_at=step_.started_at,
                ended_at=step_.ended_at,
            )
        )  # fmt: skip


def reset(ctx: Ctx, step_: Step) -> None:
    """Back to the queue for a new round; the attempts keep counting."""
    if step_.attempt:
        _keep_aside(ctx, step_)
    _update(ctx, step_, {**_FRESH, "status": Status.QUEUED, "losses": 0})


def _update(ctx: Ctx, step_: Step, values: Mapping[str, Any]) -> None:
    where = sa.and_(STEPS.c.job == step_.job, STEPS.c.name == step_.name)
    ctx.tx.execute(STEPS.update().where(where).values(**_encode(values)))


def note_step(ctx: Ctx, step_: Step, **values: Any) -> None:
    """Keep something about a step that is no status."""
    _update(ctx, step_, values)


def run_step(ctx: Ctx, step_: Step) -> None:
    """The command is about to start. Called again by a repeated step; then nothing changes."""
    if step_.status is Status.PREPARING:
        _update(ctx, step_, {"status": Status.RUNNING})


def end_step(ctx: Ctx, job: Job, step_: Step, status: Status, **values: Any) -> Step:
    """The end of an attempt, or of a step that never began; records ``step.<status>`` (``step.reused``)."""
    values |= {"status": status, "ended_at": ctx.now}
    if values.get("lost"):
        values["losses"] = step_.losses + 1
    _update(ctx, step_, values)
    after = replace(step_, **values)
    events.record(
        ctx, "step.reused" if after.reused_from else f"step.{status}", step_.id, **_facts_of(job), step=step_.name,
        attempt=after.attempt, status=status, reason=after.reason, exit_code=after.exit_code, digest=after.digest,
        run_id=after.run_id, environment_lock=after.environment_lock, outputs=dict(after.outputs),
        reused_from=after.reused_from, lost=after.lost,
    )  # fmt: skip
    return after


def reusable(ctx: Ctx, workspace: str, digest: str) -> list[Step]:
    """Completed steps of the same digest, newest first; those that ran before those that reused."""
    query = (
        sa.select(STEPS)
        .where(STEPS.c.workspace == workspace, STEPS.c.digest == digest, STEPS.c.status == Status.COMPLETED)
        .order_by(STEPS.c.reused_from.is_not(None), STEPS.c.ended_at.desc())
        .limit(10)
    )
    return [_step(row) for row in ctx.tx.execute(query)]


def attempts(ctx: Ctx, job: str, step_: str) -> list[dict[str, Any]]:
    """Attempts before the newest one, oldest first."""
    query = sa.select(ATTEMPTS).where(ATTEMPTS.c.job == job, ATTEMPTS.c.step == step_).order_by(ATTEMPTS.c.attempt)
    return [dict(row._mapping) for row in ctx.tx.execute(query)]


def usage(ctx: Ctx, since: datetime, until: datetime) -> list[model.Usage]:
    """Of every workspace: attempts that ran in ``since <= time < until``, but for groups, whose steps count, and for
    steps that took what an earlier run left."""
    found = []
    for table, step_ in ((STEPS, STEPS.c.name), (ATTEMPTS, ATTEMPTS.c.step)):
        start, end = table.c.started_at, table.c.ended_at
        query = sa.select(STEPS.c.workspace, STEPS.c.job, STEPS.c.name, STEPS.c.task, STEPS.c.status, start, end).where(
            start < until, sa.or_(end.is_(None), end > since), STEPS.c.reused_from.is_(None)
        )
        if table is ATTEMPTS:
            query = query.where(STEPS.c.job == ATTEMPTS.c.job, STEPS.c.name == step_, end.is_not(None))
        for row in ctx.tx.execute(query.order_by(start)):
            task = model.task(json.loads(row.task))
            if not task.kind.is_group and not (row.ended_at is None and row.status in ENDED):
                at = (row.workspace, row.job, row.name)
                found.append(model.Usage(*at, task.compute, row.started_at, row.ended_at))
    return found


@dataclass(frozen=True)
class End:
    """How an attempt ended, wherever that is kept by now."""

    status: Status
    run_id: str | None
    reused_from: str | None = None


def end_of(ctx: Ctx, job: str, name: str, attempt: int) -> End | None:
    now = step(ctx, job, name)
    if now and now.attempt == attempt and now.status in ENDED:
        return End(now.status, now.run_id, now.reused_from)
    aside = next((each for each in attempts(ctx, job, name) if each["attempt"] == attempt), None)
    return End(Status(aside["status"]), aside["run_id"]) if aside else None


def mark_cancelled(ctx: Ctx, job: Job, by: str) -> None:
    note_job(ctx, job.id, cancelled_by=by)
    events.record(ctx, "job.cancel_requested", f"job:{job.id}", **_facts_of(job))
