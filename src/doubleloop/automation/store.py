"""Tables of schedules and rules, and of the times a rule has acted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from doubleloop.automation import model
from doubleloop.base import canonical
from doubleloop.db import tables
from doubleloop.db.context import Ctx

SCHEDULES = sa.Table(
    "schedules",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("next_at", tables.Moment),
    sa.Column("last_at", tables.Moment),
    sa.Column("last_run", sa.String(255)),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
RULES = sa.Table(
    "rules",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("last_fired_at", tables.Moment),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
)
FIRINGS = sa.Table(
    "rule_firings",
    tables.METADATA,
    sa.Column("workspace", sa.String(255), primary_key=True),
    sa.Column("rule", sa.String(255), primary_key=True),
    sa.Column("fact", sa.Integer, primary_key=True),
    sa.Column("at", tables.Moment, nullable=False),
)
# ``key`` names a message to one receiver; ``state``: claimed (about to be sent, or nobody knows), sent, refused (it may
# be sent again), unknown or declined (it may not).
DELIVERIES = sa.Table(
    "deliveries",
    tables.METADATA,
    sa.Column("key", sa.String(300), primary_key=True),
    sa.Column("workspace", sa.String(255)),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("claimed_at", tables.Moment, nullable=False, index=True),
    sa.Column("ended_at", tables.Moment),
)
# Nothing asks for a delivery when its workflow is over, which takes an hour at most.
DELIVERIES_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Delivery:
    state: str
    attempts: int
    answer: str


def _of(table: sa.Table, workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.workspace == workspace, table.c.name == name)


def _read(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {key: json.loads(value) if key == "document" else value for key, value in row._mapping.items()}


def _put(ctx: Ctx, table: sa.Table, values: dict[str, Any]) -> None:
    ctx.tx.execute(table.delete().where(_of(table, values["workspace"], values["name"])))
    ctx.tx.execute(table.insert().values(**{**values, "document": canonical.dumps(values["document"])}))


def schedule(ctx: Ctx, workspace: str, name: str) -> model.Schedule | None:
    row = ctx.tx.execute(sa.select(SCHEDULES).where(_of(SCHEDULES, workspace, name))).one_or_none()
    return model.Schedule(**_read(row)) if row else None


def schedules(ctx: Ctx, workspace: str | None = None) -> list[model.Schedule]:
    query = sa.select(SCHEDULES).order_by(SCHEDULES.c.workspace, SCHEDULES.c.name)
    if workspace is not None:
        query = query.where(SCHEDULES.c.workspace == workspace)
    return [model.Schedule(**_read(row)) for row in ctx.tx.execute(query)]


def due(ctx: Ctx, now: datetime) -> list[model.Schedule]:
    query = sa.select(SCHEDULES).where(SCHEDULES.c.enabled.is_(True), SCHEDULES.c.next_at <= now)
    return [model.Schedule(**_read(row)) for row in ctx.tx.execute(query)]


def next_at(ctx: Ctx) -> datetime | None:
    """When the next schedule falls due."""
    return ctx.tx.execute(sa.select(sa.func.min(SCHEDULES.c.next_at)).where(SCHEDULES.c.enabled.is_(True))).scalar()


def put_schedule(ctx: Ctx, schedule_: model.Schedule) -> None:
    _put(ctx, SCHEDULES, dict(vars(schedule_)))


def update_schedule(ctx: Ctx, workspace: str, name: str, **values: Any) -> None:
    ctx.tx.execute(SCHEDULES.update().where(_of(SCHEDULES, workspace, name)).values(**values))


def delete_schedule(ctx: Ctx, workspace: str, name: str) -> bool:
    return ctx.tx.execute(SCHEDULES.delete().where(_of(SCHEDULES, workspace, name))).rowcount > 0


def rule(ctx: Ctx, workspace: str, name: str) -> model.Rule | None:
    row = ctx.tx.execute(sa.select(RULES).where(_of(RULES, workspace, name))).one_or_none()
    return model.Rule(**_read(row)) if row else None


def rules(ctx: Ctx, workspace: str | None = None) -> list[model.Rule]:
    query = sa.select(RULES).order_by(RULES.c.workspace, RULES.c.name)
    if workspace is not None:
        query = query.where(RULES.c.workspace == workspace)
    return [model.Rule(**_read(row)) for row in ctx.tx.execute(query)]


def put_rule(ctx: Ctx, rule_: model.Rule) -> None:
    _put(ctx, RULES, dict(vars(rule_)))


def delete_rule(ctx: Ctx, workspace: str, name: str) -> bool:
    return ctx.tx.execute(RULES.delete().where(_of(RULES, workspace, name))).rowcount > 0


def add_firing(ctx: Ctx, rule_: model.Rule, fact: int) -> bool:
    """Note that a rule acts on a fact; False when it did before."""
    where = sa.and_(FIRINGS.c.workspace == rule_.workspace, FIRINGS.c.rule == rule_.name, FIRINGS.c.fact == fact)
    if ctx.tx.execute(sa.select(FIRINGS.c.fact).where(where)).first():
        return False
    ctx.tx.execute(FIRINGS.insert().values(workspace=rule_.workspace, rule=rule_.name, fact=fact, at=ctx.now))
    ctx.tx.execute(RULES.update().where(_of(RULES, rule_.workspace, rule_.name)).values(last_fired_at=ctx.now))
    return True


def acted_on(ctx: Ctx, rule_: model.Rule, facts: Sequence[int]) -> int:
    """The first of these facts that the rule acted on; 0 when it acted on none."""
    query = sa.select(sa.func.min(FIRINGS.c.fact)).where(
        FIRINGS.c.workspace == rule_.workspace, FIRINGS.c.rule == rule_.name, FIRINGS.c.fact.in_(facts)
    )
    return int(ctx.tx.execute(query).scalar() or 0) if facts else 0


def firings(ctx: Ctx, rule_: model.Rule, since: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        FIRINGS.c.workspace == rule_.workspace, FIRINGS.c.rule == rule_.name, FIRINGS.c.at > since
    )
    return int(ctx.tx.execute(query).scalar() or 0)


def delivery(ctx: Ctx, key: str) -> Delivery | None:
    row = ctx.tx.execute(sa.select(DELIVERIES).where(DELIVERIES.c.key == key).with_for_update()).one_or_none()
    return Delivery(row.state, row.attempts, row.answer) if row else None


def claim_delivery(ctx: Ctx, key: str) -> None:
    """Say that it is about to be sent; what is long over is forgotten with the first claim of a new one."""
    values = {"state": "claimed", "answer": "", "claimed_at": ctx.now, "ended_at": None}
    again = DELIVERIES.update().where(DELIVERIES.c.key == key).values(**values, attempts=DELIVERIES.c.attempts + 1)
    if ctx.tx.execute(again).rowcount:
        return
    ctx.tx.execute(DELIVERIES.delete().where(DELIVERIES.c.claimed_at < ctx.now - DELIVERIES_KEPT))
    ctx.tx.execute(DELIVERIES.insert().values(key=key, workspace=ctx.workspace, attempts=1, **values))


def end_delivery(ctx: Ctx, key: str, state: str, answer: str) -> None:
    ctx.tx.execute(
        DELIVERIES.update().where(DELIVERIES.c.key == key).values(state=state, answer=answer[:2000], ended_at=ctx.now)
    )
