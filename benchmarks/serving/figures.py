"""Arithmetic over samples: percentiles, medians with their range, ratios within a round. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What is asked: ``rows`` a request over ``connections``; ``mode`` closed, or open (half the largest rate)."""

    rows: int
    connections: int
    mode: str = "closed"


@dataclass(frozen=True)
class Sample:
    """One slice of one server. ``rate``: right answers a second; ``p50``, ``p99``: milliseconds; ``cpu``: milliseconds
    of processor time of the whole server for each answer (None when nothing was answered); ``asked``: the rate that
    was sent, in the open mode; ``failed`` and ``wrong`` answers are in none of these."""

    server: str
    cell: Cell
    round: int
    rate: float
    p50: float | None
    p99: float | None
    cpu: float | None
    answers: int
    failed: int = 0
    wrong: int = 0
    asked: float | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A median over rounds, and the smallest and the largest of them."""

    median: float
    least: float
    most: float
    rounds: int


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of them do not exceed (nearest rank); None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def figure(values: Iterable[float | None]) -> Figure | None:
    """None when there is no value at all."""
    known = [value for value in values if value is not None]
    return Figure(statistics.median(known), min(known), max(known), len(known)) if known else None


def of(samples: Sequence[Sample], server: str, cell: Cell, value: Callable[[Sample], float | None]) -> Figure | None:
    return figure(value(each) for each in samples if each.server == server and each.cell == cell)


def rate(sample: Sample) -> float:
    return sample.rate


def best(samples: Sequence[Sample], servers: Iterable[str], cell: Cell) -> str | None:
    """The server with the largest median rate."""
    rates = {server: found.median for server in servers if (found := of(samples, server, cell, rate))}
    return max(rates, key=lambda server: rates[server]) if rates else None


def ratio(
    samples: Sequence[Sample], server: str, other: str, cell: Cell, value: Callable[[Sample], float | None] = rate
) -> Figure | None:
    """``server`` by ``other``, round by round: what one machine did within one minute is compared with nothing else."""
    below = {each.round: value(each) for each in samples if each.server == other and each.cell == cell}
    ratios = []
    for each in samples:
        if each.server == server and each.cell == cell:
            above, under = value(each), below.get(each.round)
            if above is not None and under:
                ratios.append(above / under)
    return figure(ratios)
