"""Usage and its price, budgets and how they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Basis(StrEnum):
    """What a threshold is about: what is spent, or what the period is expected to cost."""

    ACTUAL = "actual"
    FORECAST = "forecast"


@dataclass(frozen=True)
class Price:
    """Of one node for one hour."""

    per_hour: Decimal
    currency: str


@dataclass(frozen=True)
class Usage:
    """``nodes`` that ran from ``start`` to ``end`` (None: they run still). ``name`` is the job, or the deployment;
    ``endpoint`` is "" for jobs; ``compute`` what the price is looked up by."""

    kind: str
    workspace: str
    name: str
    endpoint: str
    compute: str
    start: datetime
    end: datetime | None
    nodes: int = 1


@dataclass(frozen=True)
class Budget:
    """``alert_at`` and ``forecast_at`` are whole per cents of the amount."""

    name: str
    workspace: str | None
    compute: str | None
    endpoint: str | None
    amount: Decimal
    currency: str
    period: str
    alert_at: tuple[int, ...]
    forecast_at: tuple[int, ...]
    notify: tuple[str, ...]

    @property
    def subject(self) -> str:
        return f"budget:{self.name}"


@dataclass(frozen=True)
class Line:
    """What one job or endpoint came to in the period. ``cost`` None: nobody said a price in the budget's currency."""

    kind: str
    workspace: str
    name: str
    compute: str
    hours: Decimal
    cost: Decimal | None
    why: str = ""


@dataclass(frozen=True)
class Crossed:
    """A threshold that was reached, and told of, in a period."""

    basis: Basis
    threshold: int
    at: datetime


@dataclass(frozen=True)
class Standing:
    """A budget in the period ``start <= time < end``. ``forecast`` None: too little is recorded to expect anything."""

    budget: Budget
    start: datetime
    end: datetime
    spent: Decimal
    forecast: Decimal | None
    lines: tuple[Line, ...] = ()
    crossed: tuple[Crossed, ...] = field(default=())

    @property
    def unpriced(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.cost is None)
