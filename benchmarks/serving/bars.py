"""What the speed of serving must be, each as a number of one run against its bar. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.serving import figures

ONE_AT_1, ONE_AT_16 = figures.Cell(1, 1), figures.Cell(1, 16)
HALF = figures.Cell(1, 64, "open")


@dataclass(frozen=True)
class Bar:
    """``value`` is None when it was not measured; then nothing is passed."""

    what: str
    value: float | None
    bound: float
    at_least: bool = True
    unit: str = "×"

    @property
    def passed(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class Names:
    """Which servers are compared: Doubleloop's with a plan and without, the one without a model, the peers."""

    plan: str
    native: str
    ceiling: str
    peers: tuple[str, ...]


def judge(
    samples: Sequence[figures.Sample], names: Names, started: float | None, memory: float | None
) -> list[Bar]:  # fmt: skip
    """``started``: seconds to the first answer in a warm environment; ``memory``: megabytes of an idle deployment above
    its model."""
    return [
        Bar("one row, 16 connections: rate by the best peer's", _by_best(samples, names.plan, names, ONE_AT_16), 50),
        Bar("one row, 16 connections: rate by that of no model at all",
            _median(figures.ratio(samples, names.plan, names.ceiling, ONE_AT_16)), 0.5),
        Bar("compile: off, one row, 16 connections: rate by the best peer's",
            _by_best(samples, names.native, names, ONE_AT_16), 4),
        Bar("compile: off, one row, 1 connection: rate by the best peer's",
            _by_best(samples, names.native, names, ONE_AT_1), 1),
        Bar("at half the largest rate: p99 by p50", _spread(samples, names.plan), 5, at_least=False),
        Bar("start to first answer, warm", started, 3, at_least=False, unit=" s"),
        Bar("memory of an idle deployment above its model", memory, 150, at_least=False, unit=" MB"),
    ]  # fmt: skip


def _by_best(samples: Sequence[figures.Sample], server: str, names: Names, cell: figures.Cell) -> float | None:
    best = figures.best(samples, names.peers, cell)
    return None if best is None else _median(figures.ratio(samples, server, best, cell))


def _spread(samples: Sequence[figures.Sample], server: str) -> float | None:
    return _median(
        figures.of(samples, server, HALF, lambda each: each.p99 / each.p50 if each.p99 and each.p50 else None)
    )


def _median(found: figures.Figure | None) -> float | None:
    return None if found is None else found.median
