"""Service level objectives: compliance, error budget and burn rate from counts of requests. Pure.

Words and formulas are those of Google's Site Reliability Workbook, chapters 2 (error budget) and 5 (burn rate), and of
OpenSLO's budgeting method ``Occurrences``: a share of events that were good, in a rolling window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from doubleloop.gateway.desired import Slo

# The windows that burn rates are told of, in seconds: those of the workbook's alerts.
BURN_WINDOWS: dict[str, int] = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 6 * 3600, "3d": 3 * 86400}

Kind = Literal["availability", "latency"]
KINDS: tuple[Kind, ...] = ("availability", "latency")


@dataclass(frozen=True)
class Count:
    """``bad`` of ``valid`` requests."""

    valid: int = 0
    bad: int = 0


@dataclass(frozen=True)
class Objective:
    """One objective over its window. ``target`` and ``compliance`` in per cent, ``compliance`` None without requests.

    ``budget`` is how many requests may be bad, ``consumed`` how many were, ``remaining`` the difference (below zero
    when the objective is missed); ``consumed_percent`` of the budget, None without requests. ``burn_rates`` by window:
    1 consumes exactly the budget in the objective's window; None where there were no requests.
    """

    kind: Kind
    target: float
    threshold_ms: float | None
    valid: int
    compliance: float | None
    met: bool | None
    budget: float
    consumed: int
    remaining: float
    consumed_percent: float | None
    burn_rates: Mapping[str, float | None] = field(default_factory=dict)


def error_budget(valid: int, target: float) -> float:
    """How many of ``valid`` requests may be bad: ``target`` in per cent, below 100."""
    return valid * (100 - target) / 100


def burn_rate(count: Count, target: float) -> float | None:
    """How fast the budget is used: the share of bad requests, as a multiple of the share that may be bad."""
    return count.bad / error_budget(count.valid, target) if count.valid else None


def burn_rate_that_uses(share: float, within: float, window: float) -> float:
    """The burn rate at which ``share`` (0 to 1) of the budget of ``window`` seconds is used up within ``within``."""
    return share * window / within


def exhausted_after(rate: float, window: float) -> float:
    """Seconds until a constant burn rate above 0 has used up the whole budget of ``window`` seconds."""
    return window / rate


def assess(kind: Kind, slo: Slo, total: Count, recent: Mapping[str, Count]) -> Objective | None:
    """``total``: over the objective's window; ``recent``: by name of ``BURN_WINDOWS``. None: no such objective."""
    target = slo.availability if kind == "availability" else slo.latency
    if target is None:
        return None
    budget = error_budget(total.valid, target)
    compliance = 100 * (total.valid - total.bad) / total.valid if total.valid else None
    return Objective(
        kind=kind, target=target, threshold_ms=slo.latency_threshold_ms if kind == "latency" else None,
        valid=total.valid, compliance=compliance, met=None if compliance is None else total.bad <= budget,
        budget=budget, consumed=total.bad, remaining=budget - total.bad,
        consumed_percent=100 * total.bad / budget if budget else None,
        burn_rates={name: burn_rate(count, target) for name, count in recent.items()},
    )  # fmt: skip
