"""Several requests as one, and its answer as one for each of them."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from . import frames


def joined(values: Sequence[Any], specs: Sequence[Dict[str, Any]]) -> Any:
    """What several requests hold (columns, a tensor, or tensors by name), one after the other."""
    if not frames.is_tensor(specs):
        return columns(values)
    if isinstance(values[0], dict):
        return {name: [row for value in values for row in value[name]] for name in values[0]}
    return [row for value in values for row in value]


def columns(values: Sequence[Sequence[List[Any]]]) -> List[List[Any]]:
    """The columns of several requests, one after the other."""
    return [[each for part in parts for each in part] for parts in zip(*values)]


def parted(found: Any, rows: Sequence[int]) -> Optional[List[Any]]:
    """The answer's part for each request; None when it does not have one entry for each of their rows."""
    each = list(found.values()) if isinstance(found, dict) else [found]
    if not all(_has_rows(part, sum(rows)) for part in each):
        return None
    ends = [sum(rows[: number + 1]) for number in range(len(rows))]
    cuts = [slice(end - count, end) for end, count in zip(ends, rows)]
    if isinstance(found, dict):
        return [{name: part[cut] for name, part in found.items()} for cut in cuts]
    return [found[cut] for cut in cuts]


def _has_rows(part: Any, rows: int) -> bool:
    if isinstance(part, list):  # of records; any other may be one of arrays, each of all rows
        return len(part) == rows and all(isinstance(each, dict) for each in part)
    return hasattr(part, "dtype") and getattr(part, "ndim", 0) > 0 and len(part) == rows
