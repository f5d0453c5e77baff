"""Tables of definitions, releases and their stages; the single writer of a release's status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.events import queries as event_queries
from doubleloop.releases import model

DEFINITIONS = sa.Table(
    "release_definitions",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("trigger", sa.String(40), nullable=False),
    sa.Column("scenario", sa.String(20), nullable=False),
    sa.Column("workspaces", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
RELEASES = sa.Table(
    "releases",
    tables.METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(120), nullable=False, unique=True),
    sa.Column("definition", sa.String(255), nullable=False, index=True),
    sa.Column("definition_version", sa.Integer, nullable=False),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("version", sa.String(255), nullable=False),
    sa.Column("candidate", sa.String(255), nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("phase", sa.String(40), nullable=False),
    sa.Column("topic", sa.String(200), nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("ending", sa.Text),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("ended_at", tables.Moment),
    sqlite_autoincrement=True,
)
STAGES = sa.Table(
    "release_stages",
    tables.METADATA,
    sa.Column("release", sa.String(120), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("phase", sa.String(40), nullable=False),
    sa.Column("candidate", sa.String(255), nullable=False),
    sa.Column("job", sa.String(255), nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("deployment", sa.String(255), nullable=False),
    sa.Column("deployment_name", sa.String(255), nullable=False),
    sa.Column("signature", sa.Text),
    sa.Column("approval", sa.String(40), nullable=False),
    sa.Column("champion_judged", sa.String(255)),
    sa.Column("champion_before", sa.String(255), nullable=False),
    sa.Column("traffic_before", sa.Text),
    sa.Column("rolled_out", sa.Boolean, nullable=False),
    sa.Column("entered_at", tables.Moment),
    sa.Column("passed_at", tables.Moment),
)
ACTIVE = tuple(status for status in model.Status if status not in model.ENDED)
_JSON = ("workspaces", "document", "reasons", "trigger", "ending", "signature", "traffic_before")


def _encode(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: canonical.dumps(value) if key in _JSON and value is not None else value for key, value in values.items()
    }


def _decode(row: sa.Row[Any], columns: Sequence[str]) -> dict[str, Any]:
    values = dict(row._mapping)
    return {**values, **{key: json.loads(values[key]) for key in columns if values[key] is not None}}


def insert_definition(ctx: Ctx, definition: model.Definition) -> None:
    ctx.tx.execute(DEFINITIONS.insert().values(**_encode(asdict(definition))))
    events.record(
        ctx, "release.defined", f"release-definition:{definition.name}", version=definition.version,
        hash=definition.hash, model=definition.model, workspaces=list(definition.workspaces),
    )  # fmt: skip


def _definition(row: sa.Row[Any]) -> model.Definition:
    values = _decode(row, ("workspaces", "document", "trigger"))
    return model.Definition(**{**values, "workspaces": tuple(values["workspaces"])})


def definition(ctx: Ctx, name: str, version: int | None = None) -> model.Definition | None:
    """The newest version when none is named."""
    query = sa.select(DEFINITIONS).where(DEFINITIONS.c.name == name).order_by(DEFINITIONS.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(DEFINITIONS.c.version == version)
    row = ctx.tx.execute(query).one_or_none()
    return _definition(row) if row else None


def definitions(ctx: Ctx) -> list[model.Definition]:
    """The newest version of each, by name."""
    newest = sa.select(DEFINITIONS.c.name, sa.func.max(DEFINITIONS.c.version)).group_by(DEFINITIONS.c.name)
    query = sa.select(DEFINITIONS).where(sa.tuple_(DEFINITIONS.c.name, DEFINITIONS.c.version).in_(newest))
    return [_definition(row) for row in ctx.tx.execute(query.order_by(DEFINITIONS.c.name))]


def definition_versions(ctx: Ctx, name: str) -> list[model.Definition]:
    """Newest first."""
    query = sa.select(DEFINITIONS).where(DEFINITIONS.c.name == name).order_by(DEFINITIONS.c.version.desc())
    return [_definition(row) for row in ctx.tx.execute(query)]


def lock_definition(ctx: Ctx, name: str) -> None:
    """Hold everything that decides between releases of one definition until this transaction ends."""
    ctx.tx.execute(sa.select(DEFINITIONS.c.version).where(DEFINITIONS.c.name == name).with_for_update()).all()


def lock_definitions(ctx: Ctx) -> None:
    """The same for all definitions: they may share an endpoint."""
    ctx.tx.execute(sa.select(DEFINITIONS.c.version).order_by(DEFINITIONS.c.name).with_for_update()).all()


def unended(ctx: Ctx) -> list[model.Release]:
    """Of every definition."""
    return _releases(ctx, sa.select(RELEASES).where(RELEASES.c.status.in_([each.value for each in ACTIVE])))


def insert(ctx: Ctx, release: model.Release, workspaces: Sequence[str]) -> model.Release:
    """Also records ``release.started``. The number is given by the database."""
    values = _encode(asdict(release))
    for key in ("stages", "number"):
        del values[key]
    ctx.tx.execute(RELEASES.insert().values(**{**values, "status": release.status.value}))
    for position, workspace in enumerate(workspaces):
        stage = model.Stage(release.id, position, workspace)
        ctx.tx.execute(STAGES.insert().values(**_encode(asdict(stage))))
    made = get(ctx, release.id)
    assert made is not None
    events.record(ctx.in_workspace(made.workspace), "release.started", made.subject, **_told(made))
    return made


def _told(release: model.Release) -> dict[str, Any]:
    return {
        "release": release.id, "number": release.number, "definition": release.definition,
        "definition_version": release.definition_version, "model": release.model, "version": release.candidate,
        "trigger": release.trigger,
    }  # fmt: skip


def _stage(row: sa.Row[Any]) -> model.Stage:
    return model.Stage(**_decode(row, ("signature", "traffic_before")))


def _releases(ctx: Ctx, query: sa.Select[Any]) -> list[model.Release]:
    rows = ctx.tx.execute(query).all()
    found: dict[str, list[model.Stage]] = {row.id: [] for row in rows}
    stages = sa.select(STAGES).where(STAGES.c.release.in_(found)).order_by(STAGES.c.position)
    for row in ctx.tx.execute(stages):
        found[row.release].append(_stage(row))
    made = []
    for row in rows:
        values = _decode(row, ("reasons", "trigger", "ending"))
        values |= {"status": model.Status(values["status"]), "reasons": tuple(values["reasons"])}
        made.append(model.Release(**values, stages=tuple(found[row.id])))
    return made


def get(ctx: Ctx, id_: str, *, lock: bool = False) -> model.Release | None:
    query = sa.select(RELEASES).where(RELEASES.c.id == id_)
    return next(iter(_releases(ctx, query.with_for_update() if lock else query)), None)


def by_number(ctx: Ctx, number: int) -> model.Release | None:
    return next(iter(_releases(ctx, sa.select(RELEASES).where(RELEASES.c.number == number))), None)


def select(
    ctx: Ctx,
    *,
    definition_: str | None = None,
    model_: str | None = None,
    statuses: Sequence[model.Status] = (),
    before: int | None = None,
    limit: int = 1000,
) -> list[model.Release]:
    """Newest first; ``before`` is a number that all found ones are under."""
    query = sa.select(RELEASES).order_by(RELEASES.c.number.desc()).limit(limit)
    if definition_ is not None:
        query = query.where(RELEASES.c.definition == definition_)
    if model_ is not None:
        query = query.where(RELEASES.c.model == model_)
    if statuses:
        query = query.where(RELEASES.c.status.in_([status.value for status in statuses]))
    if before is not None:
        query = query.where(RELEASES.c.number < before)
    return _releases(ctx, query)


def active(ctx: Ctx, definition_: str) -> list[model.Release]:
    return select(ctx, definition_=definition_, statuses=ACTIVE)


def switch_status(
    ctx: Ctx, release: model.Release, status: model.Status, fact: str, *, reasons: Sequence[str] = (), **more: Any
) -> bool:
    """Write a new status and record ``fact``; False, and nothing is written, when it has it or has ended already."""
    values: dict[str, Any] = {"status": status.value}
    if status in model.ENDED:
        values |= {"ended_at": ctx.now, "reasons": list(reasons), "topic": "", "phase": status.value}
    open_ = [each.value for each in model.Status if each not in model.ENDED and each is not status]
    where = sa.and_(RELEASES.c.id == release.id, RELEASES.c.status.in_(open_))
    if ctx.tx.execute(RELEASES.update().where(where).values(**_encode(values))).rowcount == 0:
        return False
    ctx = ctx.in_workspace(release.workspace)
    told = {**_told(release), "workspace": release.workspace, "stage": release.position, **more}
    events.record(ctx, fact, release.subject, **told, **({"reasons": list(reasons)} if reasons else {}))
    return True


def note(ctx: Ctx, release: model.Release, **values: Any) -> model.Release:
    """Keep something about a release that is no status."""
    assert "status" not in values, "switch_status writes it, with its fact"
    ctx.tx.execute(RELEASES.update().where(RELEASES.c.id == release.id).values(**_encode(values)))
    return replace(release, **values)


def note_stage(ctx: Ctx, release: model.Release, **values: Any) -> model.Release:
    """Keep something about the stage that the release is in; a phase is shown on the release too."""
    where = sa.and_(STAGES.c.release == release.id, STAGES.c.position == release.position)
    ctx.tx.execute(STAGES.update().where(where).values(**_encode(values)))
    stages = list(release.stages)
    stages[release.position] = replace(release.stage, **values)
    release = replace(release, stages=tuple(stages))
    return note(ctx, release, phase=values["phase"]) if "phase" in values else release


def enter(ctx: Ctx, release: model.Release, position: int) -> model.Release:
    """Move into a stage and record ``release.stage_entered``, once."""
    workspace = release.stages[position].workspace
    release = note(ctx, release, position=position, workspace=workspace)
    if release.stage.entered_at is not None:
        return release
    release = note_stage(ctx, release, entered_at=ctx.now, phase="entered", candidate=release.candidate)
    events.record(
        ctx.in_workspace(workspace), "release.stage_entered", release.subject, **_told(release), stage=position,
        workspace=workspace,
    )  # fmt: skip
    return release


def tell(ctx: Ctx, release: model.Release, fact: str, **data: Any) -> None:
    """Record something that happened in the release's stage."""
    told = {"release": release.id, "number": release.number, "stage": release.position}
    events.record(ctx.in_workspace(release.workspace), fact, release.subject, **told, **data)


def tell_once(ctx: Ctx, release: model.Release, fact: str, by: Sequence[str] = (), **data: Any) -> None:
    """``tell``, unless it was told in this stage already (with the same values of the fields ``by``): a step that is
    repeated after a crash says nothing twice."""
    for told in event_queries.facts(ctx, types=(fact,), subject=release.subject):
        if told.data["stage"] == release.position and all(told.data[name] == data[name] for name in by):
            return
    tell(ctx, release, fact, **data)
