"""Who is asked when: short slices over all servers, in another order each round, all others held meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.serving import bodies, figures, load, processes, servers

CONNECTIONS = (1, 16, 64)
CELLS = tuple(figures.Cell(rows, connections) for rows in (1, 100) for connections in CONNECTIONS)
HALF = figures.Cell(1, max(CONNECTIONS), "open")
# A server that was held gets some time before it is asked, and more while it is busy with what its timers missed
# meanwhile (seconds, the share of a processor that counts as busy): that is not the requests' cost.
SETTLE, BUSY, LONGEST_SETTLE = 0.15, 0.3, 5.0
SEED = 7


@dataclass(frozen=True)
class Plan:
    """``seconds`` of each slice; an open slice takes twice that. ``generator``: the processor of the load, or None."""

    rounds: int
    seconds: float
    generator: int | None
    cells: Sequence[figures.Cell] = CELLS


def run(
    plan: Plan, served: Sequence[servers.Served], sizes: dict[int, list[bodies.Rows]], told: Callable[[str], None]
) -> Iterator[figures.Sample]:
    """All servers are held when it begins, and whenever it yields."""
    draw = random.Random(SEED)
    began = time.monotonic()
    for number in range(plan.rounds):
        largest: dict[str, float] = {}
        for cell in plan.cells:
            for each in draw.sample(served, len(served)):
                sample = _slice(each, cell, number, plan, sizes)
                if cell.rows == HALF.rows:
                    largest[each.entry.name] = max(sample.rate, largest.get(each.entry.name, 0.0))
                yield sample
        # What answers with a fixed text is asked as often as the quickest of ours: so much the machine itself adds.
        quickest = max((largest.get(each.entry.name, 0.0) for each in served if each.entry.kind == "ours"), default=0.0)
        for each in draw.sample(served, len(served)):
            rate = quickest if each.entry.kind == "echo" else largest.get(each.entry.name)
            if rate:
                yield _slice(each, HALF, number, plan, sizes, rate / 2)
        passed = time.monotonic() - began
        left = passed / (number + 1) * (plan.rounds - number - 1)
        told(f"  round {number + 1} of {plan.rounds}, {passed:.0f} s, about {left:.0f} s to go")


def _slice(
    served: servers.Served, cell: figures.Cell, number: int, plan: Plan, sizes: dict[int, list[bodies.Rows]],
    rate: float | None = None,
) -> figures.Sample:  # fmt: skip
    order = served.order(
        sizes[cell.rows], connections=cell.connections, rate=rate, cpu=plan.generator,
        seconds=plan.seconds * (2 if rate else 1),
    )  # fmt: skip
    served.tree.release()
    try:
        time.sleep(SETTLE)
        processes.idle(served.tree, BUSY, seconds=0.1, most=LONGEST_SETTLE)
        before = served.tree.cpu()
        result = servers.send(order)
        used = served.tree.cpu() - before
    finally:
        served.tree.hold()
    return sample(served.entry.name, cell, number, result, used, rate)


def sample(
    server: str, cell: figures.Cell, number: int, result: load.Result, used: float, asked: float | None = None
) -> figures.Sample:
    """``used``: seconds of processor time over the whole slice, with its warm-up."""
    ordered = [each / 1000 for each in sorted(result.latencies)]
    return figures.Sample(
        server, cell, number, result.rate, figures.percentile(ordered, 0.5), figures.percentile(ordered, 0.99),
        used / result.total * 1000 if result.total else None, len(ordered), result.failed, result.wrong, asked,
        tuple(result.why),
    )  # fmt: skip
