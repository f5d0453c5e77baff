"""Arithmetic of cost: pure, in whole microseconds and ``Decimal``; nothing is rounded before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from doubleloop.cost.model import Basis, Budget, Line, Price, Standing, Usage

_HOUR = Decimal(3_600_000_000)  # in microseconds
_MICRO = timedelta(microseconds=1)
_CENT = Decimal("0.01")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# What is to come is expected to cost as the last days did.
RECENT = timedelta(days=7)
LEAST_RECENT = timedelta(days=1)
THIS_MACHINE = "local"


def money(value: float | int | str) -> Decimal:
    """The number as it was written: 0.1 is a tenth."""
    return Decimal(str(value))


def shown(value: Decimal | None) -> str | None:
    """In hundredths, a half up."""
    return None if value is None else str(value.quantize(_CENT, rounding=ROUND_HALF_UP))


def budget(name: str, said: Mapping[str, Any]) -> Budget:
    """From what a setup file declared."""
    return Budget(
        name, said.get("workspace"), said.get("compute"), said.get("endpoint"), money(said["amount"]),
        said.get("currency", "EUR"), said.get("period", "month"), tuple(said.get("alert_at", ())),
        tuple(said.get("forecast_at", ())), tuple(said.get("notify", ())),
    )  # fmt: skip


def period(kind: str, now: datetime) -> tuple[datetime, datetime]:
    """The calendar month, quarter or year (UTC) that holds ``now``: its start, and that of the next one."""
    months = _MONTHS[kind]
    first = (now.month - 1) // months * months
    start = now.replace(month=first + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    after = first + months
    return start, start.replace(year=start.year + after // 12, month=after % 12 + 1)


def hours(usage: Usage, since: datetime, until: datetime) -> Decimal:
    """Node hours within ``since <= time < until``."""
    start, end = max(usage.start, since), min(usage.end or until, until)
    return Decimal(max(0, (end - start) // _MICRO) * usage.nodes) / _HOUR


def price(name: str, computes: Mapping[str, Mapping[str, Any]]) -> Price | None:
    """Of the compute of that name, or size; else of ``local``, since every name stands for this machine."""
    named = [computes[name]] if name in computes else [each for each in computes.values() if each.get("size") == name]
    for each in [*named, computes.get(THIS_MACHINE, {})]:
        if each.get("price_per_hour") is not None:
            return Price(money(each["price_per_hour"]), each.get("currency") or "EUR")
    return None


def counts(chosen: Budget, usage: Usage) -> bool:
    """Whether the budget is about it."""
    return (
        chosen.workspace in (None, usage.workspace)
        and chosen.endpoint in (None, usage.endpoint)
        and chosen.compute in (None, usage.compute or THIS_MACHINE)
    )


def standing(
    chosen: Budget, usage: Sequence[Usage], computes: Mapping[str, Mapping[str, Any]], now: datetime
) -> Standing:
    """How the budget stands now. ``usage`` reaches back to ``needed``."""
    start, end = period(chosen.period, now)
    own = [each for each in usage if counts(chosen, each)]
    lines = _lines(own, computes, chosen.currency, start, now)
    spent = _sum(lines)
    return Standing(chosen, start, end, spent, _forecast(chosen, own, computes, spent, end, now), lines)


def needed(chosen: Iterable[Budget], now: datetime) -> datetime:
    """The earliest time that any of these budgets looks at."""
    return min([now - RECENT, *(period(each.period, now)[0] for each in chosen)])


def _forecast(
    chosen: Budget, own: Sequence[Usage], computes: Mapping[str, Mapping[str, Any]], spent: Decimal, end: datetime,
    now: datetime,
) -> Decimal | None:  # fmt: skip
    """What is spent, and the rest of the period at the mean rate of the last seven days (of as many as there are since
    the first usage, one at least)."""
    since = max(now - RECENT, min((each.start for each in own), default=now))
    if now - since < LEAST_RECENT:
        return None
    recent = _sum(_lines(own, computes, chosen.currency, since, now))
    return spent + recent * Decimal((end - now) // _MICRO) / Decimal((now - since) // _MICRO)


def _sum(lines: Iterable[Line]) -> Decimal:
    return sum((line.cost for line in lines if line.cost is not None), Decimal(0))


def _lines(
    usage: Iterable[Usage], computes: Mapping[str, Mapping[str, Any]], currency: str, since: datetime, until: datetime
) -> tuple[Line, ...]:
    """A line for each job and endpoint on each compute, the dearest first."""
    found: dict[tuple[str, str, str, str], Decimal] = {}
    for each in usage:
        key = (each.kind, each.workspace, each.endpoint or each.name, each.compute or THIS_MACHINE)
        taken = hours(each, since, until)
        if taken:
            found[key] = found.get(key, Decimal(0)) + taken
    lines = [_line(key, taken, price(key[3], computes), currency) for key, taken in found.items()]
    return tuple(sorted(lines, key=lambda line: (line.cost is None, -(line.cost or 0), -line.hours, line.name)))


def _line(key: tuple[str, str, str, str], taken: Decimal, known: Price | None, currency: str) -> Line:
    if known is None:
        return Line(*key, taken, None, f"compute {key[3]} has no price_per_hour")
    if known.currency != currency:
        return Line(*key, taken, None, f"the price of compute {key[3]} is in {known.currency}")
    return Line(*key, taken, taken * known.per_hour)


def crossed(found: Standing) -> list[tuple[Basis, int]]:
    """The thresholds that are reached, in the order of the file."""
    chosen = found.budget
    reached = [(Basis.ACTUAL, each) for each in chosen.alert_at if _reached(found.spent, each, chosen)]
    if found.forecast is not None:
        reached += [(Basis.FORECAST, each) for each in chosen.forecast_at if _reached(found.forecast, each, chosen)]
    return reached


def _reached(value: Decimal, per_cent: int, chosen: Budget) -> bool:
    return value * 100 >= chosen.amount * per_cent


def share(value: Decimal, chosen: Budget) -> float:
    """Of the amount."""
    return float(value / chosen.amount)
