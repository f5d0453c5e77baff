"""The difference between a setup file and what there is: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from doubleloop.base import canonical

State = Mapping[tuple[str, str], Mapping[str, Any]]
"""What there is: (kind, name) to its fields."""


@dataclass(frozen=True)
class Change:
    """``fields``: name to (before, after). What a file does not mention is left as it is."""

    action: str
    kind: str
    name: str
    fields: dict[str, tuple[Any, Any]]


def differences(wanted: State, there: State) -> list[Change]:
    """In the order of ``wanted``, which is the order of making."""
    changes = []
    for (kind, name), after in wanted.items():
        before = there.get((kind, name))
        if before is None:
            changes.append(Change("create", kind, name, {field: (None, value) for field, value in after.items()}))
            continue
        fields = {field: (before.get(field), value) for field, value in after.items() if before.get(field) != value}
        changes.append(Change("change" if fields else "none", kind, name, fields))
    return changes


def digest(there: State) -> str:
    """What a plan was made against; another digest at apply time means that somebody was quicker."""
    return canonical.sha256([[kind, name, dict(fields)] for (kind, name), fields in sorted(there.items())])
