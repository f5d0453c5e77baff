"""Monitors, their runs, the values they found, and alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Monitor:
    """``document`` is the wire form of the schedule file; ``deployment`` narrows the log, empty means all of it."""

    workspace: str
    name: str
    document: dict[str, Any]
    endpoint: str
    deployment: str
    enabled: bool
    next_at: datetime | None
    last_at: datetime | None
    created_by: str
    created_at: datetime

    @property
    def id(self) -> str:
        return f"monitor:{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Window:
    """Event times with ``start <= time < end``."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Measured:
    """One value of one signal. ``value`` None means not computed, and ``reason`` says why; it never counts as good."""

    metric: str
    column: str
    value: float | None
    threshold: float | None
    alert: bool
    reason: str = ""


@dataclass(frozen=True)
class SignalResult:
    """``status``: ok, alert, or not_checked. ``moved`` are the columns that moved most, before and after; ``examples``
    the rows that are least like the reference, for people to look at (``examples.worst``)."""

    signal: str
    type: str
    status: str
    reason: str = ""
    reference_rows: int = 0
    production_rows: int = 0
    metrics: tuple[Measured, ...] = ()
    moved: tuple[dict[str, Any], ...] = ()
    examples: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class MonitorRun:
    id: str
    workspace: str
    monitor: str
    status: RunStatus
    as_of: datetime
    window_start: datetime
    window_end: datetime
    signals: list[dict[str, Any]]
    error: str
    started_at: datetime
    ended_at: datetime | None
    created_by: str


class AlertState(StrEnum):
    """``silenced``: nobody is told until its time is over, whatever is found meanwhile."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class AlertKind(StrEnum):
    """What an alert is about, which says who is told of it (``rules.audience``)."""

    MODEL = "model"
    INFRASTRUCTURE = "infrastructure"
    COST = "cost"


@dataclass(frozen=True)
class AlertPolicy:
    """A metric is in alert while at least ``windows`` of its last ``of`` windows crossed the threshold.

    ``tell`` are the personas that are told; empty leaves it to the kind and the severity of the alert.
    """

    windows: int = 1
    of: int = 1
    severity: str = "warning"
    tell: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alert:
    """One episode of one metric of one signal of a monitor; there is never more than one that is not over.

    ``value``, ``columns`` and ``details`` are those of the run that raised it, ``last_value`` and ``last_seen_at`` (the
    end of the window) of the newest run that found it so. ``cleared_at`` is when a run found the metric good again:
    what a person resolved before is opened again by the next run that finds it bad still.
    """

    id: str
    workspace: str
    monitor: str
    signal: str
    metric: str
    columns: list[str]
    value: float
    threshold: float
    window_start: datetime
    window_end: datetime
    raised_at: datetime
    resolved_at: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)
    signal_type: str = ""
    kind: AlertKind = AlertKind.MODEL
    severity: str = "warning"
    state: AlertState = AlertState.OPEN
    silenced_until: datetime | None = None
    cleared_at: datetime | None = None
    last_value: float | None = None
    last_seen_at: datetime | None = None
    changed_by: str = ""
    changed_at: datetime | None = None
    comment: str = ""

    @property
    def subject(self) -> str:
        """As facts name it."""
        return f"alert:{self.workspace}/{self.id}"
