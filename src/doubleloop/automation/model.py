"""Schedules of jobs, and rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """``document`` is the wire form of the file; ``last_run`` the id of the job that it started last."""

    workspace: str
    name: str
    document: dict[str, Any]
    enabled: bool
    next_at: datetime | None
    last_at: datetime | None
    last_run: str | None
    created_by: str
    created_at: datetime

    @property
    def id(self) -> str:
        return f"schedule:{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Rule:
    """``is_default``: a scenario brought it (``defaults``)."""

    workspace: str
    name: str
    document: dict[str, Any]
    enabled: bool
    last_fired_at: datetime | None
    created_by: str
    created_at: datetime
    is_default: bool = False

    @property
    def id(self) -> str:
        return f"rule:{self.workspace}/{self.name}"
