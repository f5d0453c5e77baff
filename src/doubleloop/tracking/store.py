"""Who made which run and who registered which version, as the proxy saw it (a user's tags can say anything)."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from doubleloop.db import tables
from doubleloop.db.context import Ctx

RUNS = sa.Table(
    "tracking_runs",
    tables.METADATA,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("workspace", sa.String(255)),
    sa.Column("job", sa.String(255)),
    sa.Column("step", sa.String(255)),
    sa.Column("created_at", tables.Moment, nullable=False),
)
REGISTRATIONS = sa.Table(
    "tracking_registrations",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("version", sa.String(40), primary_key=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("workspace", sa.String(255)),
    sa.Column("job", sa.String(255)),
    sa.Column("step", sa.String(255)),
    sa.Column("created_at", tables.Moment, nullable=False),
)


@dataclass(frozen=True)
class Origin:
    """Who stands behind a run: the user, the workspace, and the job and step when it was one of ours."""

    actor: str
    workspace: str | None
    job: str | None = None
    step: str | None = None


def put_run(ctx: Ctx, run_id: str, origin: Origin) -> None:
    if run_origin(ctx, run_id) is None:
        ctx.tx.execute(
            RUNS.insert().values(
                run_id=run_id, actor=origin.actor, workspace=origin.workspace, job=origin.job, step=origin.step,
                created_at=ctx.now,
            )
        )  # fmt: skip


def run_origin(ctx: Ctx, run_id: str) -> Origin | None:
    row = ctx.tx.execute(sa.select(RUNS).where(RUNS.c.run_id == run_id)).one_or_none()
    return Origin(row.actor, row.workspace, row.job, row.step) if row else None


def put_registration(ctx: Ctx, name: str, version: str, origin: Origin) -> None:
    if registrant(ctx, name, version) is None:
        ctx.tx.execute(
            REGISTRATIONS.insert().values(
                name=name, version=version, actor=origin.actor, workspace=origin.workspace, job=origin.job,
                step=origin.step, created_at=ctx.now,
            )
        )  # fmt: skip


def registrant(ctx: Ctx, name: str, version: str) -> Origin | None:
    where = sa.and_(REGISTRATIONS.c.name == name, REGISTRATIONS.c.version == version)
    row = ctx.tx.execute(sa.select(REGISTRATIONS).where(where)).one_or_none()
    return Origin(row.actor, row.workspace, row.job, row.step) if row else None
