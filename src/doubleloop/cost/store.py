"""Which thresholds of which budgets were told of, so that each is told once in a period."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from doubleloop.cost import model
from doubleloop.db import tables
from doubleloop.db.context import Ctx

ALERTS = sa.Table(
    "budget_alerts",
    tables.METADATA,
    sa.Column("budget", sa.String(255), primary_key=True),
    sa.Column("period_start", tables.Moment, primary_key=True),
    sa.Column("basis", sa.String(20), primary_key=True),
    sa.Column("threshold", sa.Integer, primary_key=True),
    # A budget that was changed is told of anew.
    sa.Column("amount", sa.String(80), primary_key=True),
    sa.Column("at", tables.Moment, nullable=False),
)


def _amount(budget: model.Budget) -> str:
    return f"{budget.amount} {budget.currency}"


def crossed(ctx: Ctx, budget: model.Budget, start: datetime) -> tuple[model.Crossed, ...]:
    """In the order in which they were told."""
    query = (
        sa.select(ALERTS.c.basis, ALERTS.c.threshold, ALERTS.c.at)
        .where(ALERTS.c.budget == budget.name, ALERTS.c.period_start == start, ALERTS.c.amount == _amount(budget))
        .order_by(ALERTS.c.at, ALERTS.c.basis, ALERTS.c.threshold)
    )
    return tuple(model.Crossed(model.Basis(basis), threshold, at) for basis, threshold, at in ctx.tx.execute(query))


def add(ctx: Ctx, found: model.Standing, basis: model.Basis, threshold: int) -> None:
    ctx.tx.execute(
        ALERTS.insert().values(
            budget=found.budget.name, period_start=found.start, basis=basis.value, threshold=threshold,
            amount=_amount(found.budget), at=ctx.now,
        )
    )  # fmt: skip
