"""What a benchmark asks of a figure, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    what: str
    found: float
    wanted: str
    passed: bool
