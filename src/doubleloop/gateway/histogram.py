"""Latency in fixed logarithmic buckets: cheap to add to, and two of them can be subtracted to get a window."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

# Upper bounds in milliseconds, ten to a decade from 0.1 ms to 100 s: an estimate is off by at most 26 percent.
BOUNDS_MS: tuple[float, ...] = tuple(float(f"{10 ** (step / 10 - 1):.4g}") for step in range(61))


def empty(bounds: Sequence[float] = BOUNDS_MS) -> list[int]:
    """Counts per bucket; the last one holds everything above the largest bound."""
    return [0] * (len(bounds) + 1)


def add(counts: list[int], value: float, bounds: Sequence[float] = BOUNDS_MS) -> None:
    counts[bisect.bisect_left(bounds, value)] += 1


def quantile(counts: Sequence[int], q: float) -> float | None:
    """The ``q`` quantile in milliseconds, interpolated within its bucket as Prometheus does; None when empty."""
    total = sum(counts)
    if not total:
        return None
    rank, seen = q * total, 0
    for position, count in enumerate(counts):
        if count and seen + count >= rank:
            if position == len(BOUNDS_MS):
                return BOUNDS_MS[-1]
            low = BOUNDS_MS[position - 1] if position else 0.0
            return low + (BOUNDS_MS[position] - low) * (rank - seen) / count
        seen += count
    return BOUNDS_MS[-1]
