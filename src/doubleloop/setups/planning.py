"""The difference between a setup file, what files made before, and what there is: pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.base import canonical, clock

Key = tuple[str, str]
State = Mapping[Key, Mapping[str, Any]]
"""What there is: (kind, name) to its fields."""

# What has to be there before the next; removed the other way round.
ORDER = (
    "registry", "workspace", "user", "group", "assignment", "compute", "datastore", "notification", "budget", "rule",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """``action``: create, change, remove, forget (the file no longer names it, and no file made it) or none.

    ``fields``: name to (before, after). ``refused`` says why it cannot be done; ``note`` is for people.
    """

    action: str
    kind: str
    name: str
    fields: dict[str, tuple[Any, Any]]
    refused: str = ""
    note: str = ""

    @property
    def key(self) -> Key:
        return self.kind, self.name


@dataclass(frozen=True)
class Drift:
    """One thing that is not as it was applied. ``change``: changed or removed; by whom and when, where known."""

    setup: str
    change: str
    kind: str
    name: str
    fields: dict[str, tuple[Any, Any]]
    by: str | None = None
    at: Any = None


def plain(value: Any) -> Any:
    """As it will read once it has been kept as JSON: what is compared is of one form."""
    return json.loads(canonical.dumps(value))


def differences(wanted: State, there: State) -> list[Change]:
    """In the order of ``wanted``, which is the order of making. What a file does not mention is left as it is."""
    changes = []
    for (kind, name), after in wanted.items():
        before = there.get((kind, name))
        if before is None:
            changes.append(Change("create", kind, name, {field: (None, value) for field, value in after.items()}))
            continue
        fields = changed(before, after)
        changes.append(Change("change" if fields else "none", kind, name, fields))
    return changes


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of ``after`` that ``before`` says differently."""
    return {field: (before.get(field), value) for field, value in after.items() if before.get(field) != value}


def gone(made: Mapping[Key, bool], wanted: Collection[Key], there: State, others: Mapping[Key, str]) -> list[Change]:
    """What a set-up's earlier files named and this one does not, in the order of removing. ``made``: key to whether
    a file created it; ``others``: key to another set-up that names it too."""
    found = []
    for key in sorted(made, key=lambda each: (-ORDER.index(each[0]), each[1])):
        if key in wanted:
            continue
        if key not in there:
            found.append(Change("forget", *key, {}, note="it is gone already"))
        elif key in others:
            found.append(Change("forget", *key, {}, note=f"the set-up '{others[key]}' names it too"))
        elif not made[key]:
            found.append(Change("forget", *key, {}, note="it was there before a file named it"))
        else:
            found.append(Change("remove", *key, {field: (value, None) for field, value in there[key].items()}))
    return found


def drifted(applied: Mapping[str, Any], now: Mapping[str, Any] | None) -> tuple[str, dict[str, tuple[Any, Any]]] | None:
    """What became of a thing since it was applied: None when nothing did."""
    if now is None:
        return "removed", {field: (value, None) for field, value in applied.items()}
    fields = {field: (value, now.get(field)) for field, value in applied.items() if now.get(field) != value}
    return ("changed", fields) if fields else None


def is_past(until: str, now: datetime) -> bool:
    return clock.parse(until) <= now


def digest(there: State, made: Mapping[Key, bool]) -> str:
    """What a plan was made against; another digest at apply time means that somebody was quicker."""
    return canonical.sha256(
        [[[kind, name, dict(fields)] for (kind, name), fields in sorted(there.items())],
         [[*key, value] for key, value in sorted(made.items())]]
    )  # fmt: skip
