"""Tables of projects, items, who holds which, and what was said. What was said is never changed or removed alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.labeling import model

PROJECTS = sa.Table(
    "labeling_projects",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("source", sa.String(600), nullable=False),
    sa.Column("output", sa.String(255), nullable=False),
    sa.Column("items", sa.Integer, nullable=False),
    sa.Column("exported", sa.String(600), nullable=False),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("closed_at", tables.Moment, nullable=True),
)
ITEMS = sa.Table(
    "labeling_items",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("prelabel", sa.Text, nullable=False),
    sa.Column("gold", sa.Text, nullable=False),
    sa.Column("is_gold", sa.Boolean, nullable=False),
    sa.Column("score", sa.Float, nullable=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Index("ix_labeling_items_workspace_project_state_number", "workspace", "project", "state", "number"),
)
# Who holds an item until when; ``done``: they have said something of it.
HELD = sa.Table(
    "labeling_assignments",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("user", sa.String(255), primary_key=True),
    sa.Column("until", tables.Moment, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)
ANSWERS = sa.Table(
    "labeling_answers",
    tables.METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("workspace", sa.String(255), nullable=False),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("item", sa.Integer, nullable=False),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("said", sa.String(20), nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("at", tables.Moment, nullable=False),
    sa.Index("ix_labeling_answers_workspace_project_item", "workspace", "project", "item"),
)
# Projects that are worked on in a tool elsewhere, and when it is looked at next.
LINKS = sa.Table(
    "labeling_links",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("remote", sa.Integer, nullable=True),
    sa.Column("next_at", tables.Moment, nullable=True),
    sa.Column("last_at", tables.Moment, nullable=True),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("refused", sa.Text, nullable=False),
    sa.Index("ix_labeling_links_next_at", "next_at"),
)
_BELOW = (ITEMS, HELD, ANSWERS, LINKS)


def _of(table: sa.Table, project: model.Project) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.workspace == project.workspace, table.c.project == project.name)


def _named(workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(PROJECTS.c.workspace == workspace, PROJECTS.c.name == name)


def _project(row: sa.Row[tuple[Any, ...]]) -> model.Project:
    values = dict(row._mapping)
    read = {key: json.loads(values[key]) for key in ("document", "opened_by")}
    return model.Project(**{**values, **read, "status": model.Status(values["status"])})


def project(ctx: Ctx, workspace: str, name: str) -> model.Project | None:
    row = ctx.tx.execute(sa.select(PROJECTS).where(_named(workspace, name))).one_or_none()
    return _project(row) if row else None


def projects(ctx: Ctx, workspace: str) -> list[model.Project]:
    """Newest first."""
    query = sa.select(PROJECTS).where(PROJECTS.c.workspace == workspace)
    query = query.order_by(PROJECTS.c.created_at.desc(), PROJECTS.c.name)
    return [_project(row) for row in ctx.tx.execute(query)]


def insert(ctx: Ctx, made: model.Project, items: Sequence[model.Wanted]) -> None:
    values = {**vars(made), "document": canonical.dumps(made.document), "opened_by": canonical.dumps(made.opened_by)}
    ctx.tx.execute(PROJECTS.insert().values(**values))
    rows = [
        {
            "workspace": made.workspace, "project": made.name, "number": number, "kind": each.kind,
            "content": each.content, "row": each.row, "path": each.path, "prelabel": canonical.dumps(each.prelabel),
            "gold": canonical.dumps(each.gold), "is_gold": each.gold is not None, "score": each.score,
            "state": model.State.QUEUED.value,
        }
        for number, each in enumerate(items, start=1)
    ]  # fmt: skip
    ctx.tx.execute(ITEMS.insert(), rows)
    events.record(
        ctx, "labeling.created", made.id, source=made.source, output=made.output, items=made.items,
        gold=len(items) - made.items, opened_by=made.opened_by,
    )  # fmt: skip


def lock(ctx: Ctx, project_: model.Project) -> None:
    """Others who change the same project wait until this transaction's end."""
    ctx.tx.execute(PROJECTS.update().where(_named(project_.workspace, project_.name)).values(name=project_.name))


def set_status(ctx: Ctx, project_: model.Project, status: model.Status, **told: Any) -> None:
    """The single writer of a project's status; each step forward is a fact."""
    closed = {"closed_at": ctx.now} if status is model.Status.CLOSED else {}
    exported = {"exported": told["data"]} if status is model.Status.EXPORTED else {}
    values = {"status": status.value, **closed, **exported}
    ctx.tx.execute(PROJECTS.update().where(_named(project_.workspace, project_.name)).values(**values))
    if status is model.Status.LABELLED:
        events.record(ctx, "labeling.labelled", project_.id, **told)
    elif status is model.Status.REVIEWED:
        events.record(ctx, "labeling.reviewed", project_.id, **told)
    elif status is model.Status.EXPORTED:
        events.record(ctx, "labeling.exported", project_.id, **told)
    elif status is model.Status.CLOSED:
        events.record(ctx, "labeling.closed", project_.id, **told)


def delete(ctx: Ctx, project_: model.Project, **told: Any) -> None:
    for table in _BELOW:
        ctx.tx.execute(table.delete().where(_of(table, project_)))
    ctx.tx.execute(PROJECTS.delete().where(_named(project_.workspace, project_.name)))
    events.record(ctx, "labeling.deleted", project_.id, **told)


def _item(row: sa.Row[tuple[Any, ...]]) -> model.Item:
    values = {key: value for key, value in row._mapping.items() if key != "is_gold"}
    read = {key: json.loads(values[key]) for key in ("prelabel", "gold")}
    return model.Item(**{**values, **read, "state": model.State(values["state"])})


def item(ctx: Ctx, project_: model.Project, number: int) -> model.Item | None:
    row = ctx.tx.execute(sa.select(ITEMS).where(_of(ITEMS, project_), ITEMS.c.number == number)).one_or_none()
    return _item(row) if row else None


def items(
    ctx: Ctx, project_: model.Project, states: Iterable[str] = (), after: int = 0, limit: int | None = None
) -> list[model.Item]:
    """By number; gold questions too where no state is asked for."""
    query = sa.select(ITEMS).where(_of(ITEMS, project_), ITEMS.c.number > after).order_by(ITEMS.c.number)
    wanted = list(states)
    if wanted:
        query = query.where(ITEMS.c.state.in_(wanted), sa.not_(ITEMS.c.is_gold))
    return [_item(row) for row in ctx.tx.execute(query.limit(limit) if limit is not None else query)]


def gold(ctx: Ctx, project_: model.Project) -> dict[int, Any]:
    """Number of each gold question → its answer."""
    query = sa.select(ITEMS.c.number, ITEMS.c.gold).where(_of(ITEMS, project_), ITEMS.c.is_gold)
    return {row.number: json.loads(row.gold) for row in ctx.tx.execute(query)}


def set_state(ctx: Ctx, project_: model.Project, number: int, state: model.State) -> None:
    ctx.tx.execute(ITEMS.update().where(_of(ITEMS, project_), ITEMS.c.number == number).values(state=state.value))


def set_prelabel(ctx: Ctx, project_: model.Project, number: int, value: Any) -> None:
    where = sa.and_(_of(ITEMS, project_), ITEMS.c.number == number)
    ctx.tx.execute(ITEMS.update().where(where).values(prelabel=canonical.dumps(value)))


def states(ctx: Ctx, project_: model.Project) -> dict[str, int]:
    """Number of items by state; those that are held now count as assigned."""
    query = (
        sa.select(ITEMS.c.state, sa.func.count())
        .where(_of(ITEMS, project_), sa.not_(ITEMS.c.is_gold))
        .group_by(ITEMS.c.state)
    )
    found = {str(row[0]): int(row[1]) for row in ctx.tx.execute(query)}
    held = sa.and_(
        _of(HELD, project_), HELD.c.item == ITEMS.c.number, sa.not_(HELD.c.done), HELD.c.until > ctx.now
    )  # fmt: skip
    busy = ctx.tx.execute(
        sa.select(sa.func.count()).select_from(ITEMS).where(
            _of(ITEMS, project_), sa.not_(ITEMS.c.is_gold), ITEMS.c.state == model.State.QUEUED.value,
            sa.exists().where(held),
        )
    ).scalar_one()  # fmt: skip
    if busy:
        found[model.State.ASSIGNED] = busy
        found[model.State.QUEUED] -= busy
    return {key: number for key, number in found.items() if number}


def _busy(project_: model.Project, user: str, now: datetime) -> sa.ScalarSelect[Any]:
    """How many others hold or have answered an item."""
    return (
        sa.select(sa.func.count())
        .select_from(HELD)
        .where(
            _of(HELD, project_), HELD.c.item == ITEMS.c.number, HELD.c.user != user,
            sa.or_(HELD.c.done, HELD.c.until > now),
        )
        .scalar_subquery()
    )  # fmt: skip


def _mine(project_: model.Project, user: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(_of(HELD, project_), HELD.c.item == ITEMS.c.number, HELD.c.user == user, HELD.c.done)


def held(ctx: Ctx, project_: model.Project, user: str) -> model.Item | None:
    """What a person has been handed and not answered yet, while it is theirs."""
    query = (
        sa.select(ITEMS)
        .join(HELD, sa.and_(_of(HELD, project_), HELD.c.item == ITEMS.c.number))
        .where(_of(ITEMS, project_), HELD.c.user == user, sa.not_(HELD.c.done), HELD.c.until > ctx.now)
        .order_by(HELD.c.until.desc(), ITEMS.c.number)
        .limit(1)
    )
    row = ctx.tx.execute(query).one_or_none()
    return _item(row) if row else None


def waiting(ctx: Ctx, project_: model.Project, user: str, per_item: int, gold: bool = False) -> model.Item | None:
    """The first item, in order, that somebody may be handed."""
    query = sa.select(ITEMS).where(_of(ITEMS, project_), sa.not_(_mine(project_, user)))
    if gold:
        query = query.where(ITEMS.c.is_gold)
    else:
        query = query.where(
            sa.not_(ITEMS.c.is_gold), ITEMS.c.state == model.State.QUEUED.value,
            _busy(project_, user, ctx.now) < per_item,
        )  # fmt: skip
    row = ctx.tx.execute(query.order_by(ITEMS.c.number).limit(1)).one_or_none()
    return _item(row) if row else None


def is_free(ctx: Ctx, project_: model.Project, number: int, user: str, per_item: int) -> bool:
    """Whether fewer others than are wanted hold or have answered an item."""
    query = sa.select(ITEMS.c.number).where(
        _of(ITEMS, project_), ITEMS.c.number == number, _busy(project_, user, ctx.now) < per_item
    )
    return ctx.tx.execute(query).one_or_none() is not None


def hold(ctx: Ctx, project_: model.Project, number: int, user: str, until: datetime, done: bool = False) -> None:
    key = sa.and_(_of(HELD, project_), HELD.c.item == number, HELD.c.user == user)
    ctx.tx.execute(HELD.delete().where(key))
    ctx.tx.execute(
        HELD.insert().values(
            workspace=project_.workspace, project=project_.name, item=number, user=user, until=until, done=done
        )
    )


def answered(ctx: Ctx, project_: model.Project, user: str) -> tuple[int, int]:
    """How many items, and how many gold questions, a person has answered."""
    query = (
        sa.select(ITEMS.c.is_gold, sa.func.count())
        .join(HELD, sa.and_(_of(HELD, project_), HELD.c.item == ITEMS.c.number))
        .where(_of(ITEMS, project_), HELD.c.user == user, HELD.c.done)
        .group_by(ITEMS.c.is_gold)
    )
    found = {bool(row[0]): int(row[1]) for row in ctx.tx.execute(query)}
    return found.get(False, 0) + found.get(True, 0), found.get(True, 0)


def say(ctx: Ctx, project_: model.Project, number: int, said: model.Said, value: Any, user: str | None = None) -> None:
    """``user``: whose word it is, where that is not the actor's."""
    ctx.tx.execute(
        ANSWERS.insert().values(
            workspace=project_.workspace, project=project_.name, item=number, user=user or ctx.actor.id,
            said=said.value, value=canonical.dumps(value), at=ctx.now,
        )
    )  # fmt: skip


def _answer(row: sa.Row[tuple[Any, ...]]) -> model.Answer:
    return model.Answer(row.item, row.user, model.Said(row.said), json.loads(row.value), row.at, row.seq)


def answers(ctx: Ctx, project_: model.Project, number: int | None = None) -> dict[int, list[model.Answer]]:
    """Item → all that was said of it, oldest first."""
    query = sa.select(ANSWERS).where(_of(ANSWERS, project_)).order_by(ANSWERS.c.seq)
    found: dict[int, list[model.Answer]] = {}
    for row in ctx.tx.execute(query if number is None else query.where(ANSWERS.c.item == number)):
        found.setdefault(row.item, []).append(_answer(row))
    return found


def last_of(ctx: Ctx, project_: model.Project, user: str) -> int | None:
    """The item that a person answered last and has not undone."""
    query = (
        sa.select(ANSWERS.c.item)
        .join(HELD, sa.and_(_of(HELD, project_), HELD.c.item == ANSWERS.c.item, HELD.c.user == user, HELD.c.done))
        .where(_of(ANSWERS, project_), ANSWERS.c.user == user, ANSWERS.c.said.in_(("label", "skip")))
        .order_by(ANSWERS.c.seq.desc())
        .limit(1)
    )
    return ctx.tx.execute(query).scalar_one_or_none()
