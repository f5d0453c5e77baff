"""Answers to mirrored requests beside those that callers got: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

EXAMPLES = 5
# Numbers that differ by no more than this share of the larger one are the same answer.
SAME = 1e-6
_KEYS = ["request_id", "row"]


@dataclass(frozen=True)
class Comparison:
    """``rows`` of ``requests`` were answered by both. ``largest_difference`` is of numbers, None when there are none;
    ``failed`` copies were not answered. ``examples``: the first rows that differ, as ``{"request_id", "row", "output",
    "served", "mirrored"}``. Latencies are medians in milliseconds."""

    requests: int
    rows: int
    same: int
    different: int
    failed: int
    largest_difference: float | None
    served_ms: float | None
    mirrored_ms: float | None
    examples: tuple[dict[str, Any], ...] = ()


def compare(served: pl.DataFrame, copies: pl.DataFrame) -> dict[str, Comparison]:
    """By name of the deployment that got the copies."""
    names = copies["deployment"].unique().sort().to_list() if copies.height else []
    return {name: _one(served, copies.filter(pl.col("deployment") == name)) for name in names}


def _one(served: pl.DataFrame, copies: pl.DataFrame) -> Comparison:
    good = copies.filter(pl.col("status") == 200)
    both = served.filter(pl.col("status") == 200).join(good, on=_KEYS, suffix=".mirrored")
    outputs = [name for name in both.columns if name.startswith("out.") and f"{name}.mirrored" in both.columns]
    same, largest = 0, None
    examples: list[dict[str, Any]] = []
    for row in both.iter_rows(named=True):
        differing = None
        for name in outputs:
            gap = difference(row[name], row[f"{name}.mirrored"])
            if isinstance(gap, float):
                largest = gap if largest is None else max(largest, gap)
            if differing is None and not is_same(row[name], row[f"{name}.mirrored"]):
                differing = name
        same += differing is None
        if differing is not None and len(examples) < EXAMPLES:
            examples.append({
                "request_id": row["request_id"], "row": row["row"], "output": differing.removeprefix("out."),
                "served": row[differing], "mirrored": row[f"{differing}.mirrored"],
            })  # fmt: skip
    return Comparison(
        copies["request_id"].n_unique(), both.height, same, both.height - same, copies.height - good.height, largest,
        _median(both, "latency_ms"), _median(both, "latency_ms.mirrored"), tuple(examples),
    )  # fmt: skip


def difference(one: Any, other: Any) -> float | None:
    """Of two numbers; None for anything else."""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))
    return abs(float(one) - float(other)) if numbers else None


def is_same(one: Any, other: Any) -> bool:
    gap = difference(one, other)
    if gap is None:
        return bool(one == other)
    return gap <= SAME * max(abs(one), abs(other), 1e-300) or gap == 0


def _median(frame: pl.DataFrame, column: str) -> float | None:
    value = frame[column].median() if frame.height else None
    return float(value) if isinstance(value, int | float) else None
