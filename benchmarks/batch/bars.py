"""The figures of a batch run and what is asked of them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.judging import Bar

FASTER, MEMORY, GROWTH = 5.0, 1000.0, 1.1
OURS, PEER = "doubleloop", "pandas"


@dataclass(frozen=True)
class Sample:
    """``seconds`` from start to end, ``cpu`` seconds of all processors, ``memory`` the most in MB (10^6 bytes, PSS of
    all its processes), ``total`` of the predictions. Round -1 is the small file."""

    server: str
    round: int
    rows: int
    seconds: float
    cpu: float
    memory: float
    total: float


def judged(samples: Sequence[Sample]) -> list[Bar]:
    """Of what was measured; a run that was cut off has fewer."""
    found = []
    faster = ratios(samples, PEER)
    if faster:
        median = statistics.median(faster)
        found.append(
            Bar("rows a second by those of pandas and scikit-learn", median, f">= {FASTER:g}", median >= FASTER)
        )
    large = [each.memory for each in samples if each.server == OURS and each.round >= 0]
    small = [each.memory for each in samples if each.server == OURS and each.round < 0]
    if large:
        found.append(Bar("memory of all processes, MB", max(large), f"< {MEMORY:g}", max(large) < MEMORY))
    if large and small:
        growth = statistics.median(large) / small[0]
        found.append(Bar("memory by that of a quarter of the rows", growth, f"<= {GROWTH:g}", growth <= GROWTH))
    totals = {each.total for each in samples if each.round >= 0}
    if totals:
        gap = (max(totals) - min(totals)) / max(1.0, abs(max(totals)))
        found.append(Bar("difference of the sums of all predictions", gap, "<= 1e-9", gap <= 1e-9))
    return found


def ratios(samples: Sequence[Sample], peer: str) -> list[float]:
    """How many times as fast as ``peer``, round by round."""
    seconds = {each.round: each.seconds for each in samples if each.server == peer and each.round >= 0}
    return [seconds[each.round] / each.seconds for each in samples if each.server == OURS and each.round in seconds]


def report(samples: Sequence[Sample], processes: int) -> str:
    lines = [
        f"# Batch scoring of a Parquet file, {processes} processes", "",
        "| | rows | seconds | processor seconds | memory, MB | doubleloop is faster by |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in dict.fromkeys(each.server for each in samples if each.round >= 0):
        mine = [each for each in samples if each.server == name and each.round >= 0]
        by = ratios(samples, name)
        lines.append("| " + " | ".join([
            name, f"{mine[0].rows:,}", f"{statistics.median(each.seconds for each in mine):.1f}",
            f"{statistics.median(each.cpu for each in mine):.1f}", f"{max(each.memory for each in mine):.0f}",
            f"{statistics.median(by):.1f} ({min(by):.1f} to {max(by):.1f})" if by and name != OURS else "",
        ]) + " |")  # fmt: skip
    lines += ["", "| bar | wanted | found | |", "|---|---|---|---|"]
    lines += [
        f"| {b.what} | {b.wanted} | {b.found:.3g} | {'passed' if b.passed else 'FAILED'} |" for b in judged(samples)
    ]
    return "\n".join(lines) + "\n"
