"""What a scoring script's body holds, as far as can be seen: scripts read it as they like, the log wants columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def rows(body: Any) -> int:
    """How many rows a script's body holds, as far as can be seen."""
    found = table(body)
    return len(next(iter(found.values()))) if found else 1


def table(body: Any) -> dict[str, Sequence[Any]] | None:
    """Columns of equal length, or None when the body has none of the usual forms."""
    data, names = body, None
    for _ in range(2):
        if isinstance(data, dict):
            names = data.get("columns", names)
            inner = [data[key] for key in ("input_data", "data", "dataframe_split", "inputs", "instances")
                     if key in data]  # fmt: skip
            if len(inner) != 1:
                break
            data = inner[0]
    if not isinstance(data, list) or not data:
        return None
    if all(isinstance(row, dict) for row in data):
        keys = list(dict.fromkeys(key for row in data for key in row))
        return {key: [row.get(key) for row in data] for key in keys} or None
    if all(isinstance(row, list) for row in data):
        width = len(data[0])
        if not width or any(len(row) != width for row in data):
            return None
        if not isinstance(names, list) or len(names) != width:
            names = list(range(width))
        return {str(name): list(column) for name, column in zip(names, zip(*data, strict=True), strict=True)}
    return None
