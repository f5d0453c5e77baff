"""What is known of a secret besides its value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Place:
    """Where a secret belongs: its value is good for nothing under another name or in another workspace."""

    workspace: str
    name: str


@dataclass(frozen=True)
class Version:
    """``number`` counts from 1. ``destroyed_at``: its value is gone since."""

    number: int
    description: str
    created_by: str
    created_at: datetime
    destroyed_at: datetime | None = None


@dataclass(frozen=True)
class Secret:
    """``versions`` newest first; those whose value is gone are among them."""

    workspace: str
    name: str
    versions: tuple[Version, ...]

    @property
    def id(self) -> str:
        return f"secret:{self.workspace}/{self.name}"

    @property
    def latest(self) -> Version | None:
        """The newest version that still has a value."""
        return next((each for each in self.versions if each.destroyed_at is None), None)


@dataclass(frozen=True)
class Reference:
    """``${{secrets.NAME}}`` or ``${{secrets.NAME@VERSION}}``; without a number, the newest."""

    name: str
    number: int | None = None

    def __str__(self) -> str:
        return "${{secrets." + self.name + (f"@{self.number}" if self.number else "") + "}}"
