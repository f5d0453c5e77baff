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
    """``status``: ok, alert, or not_checked. ``moved`` are the columns that moved most, before and after."""

    signal: str
    type: str
    status: str
    reason: str = ""
    reference_rows: int = 0
    production_rows: int = 0
    metrics: tuple[Measured, ...] = ()
    moved: tuple[dict[str, Any], ...] = ()


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


@dataclass(frozen=True)
class Alert:
    """Open until a later run of the same monitor finds the same metric good again."""

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
