"""What was measured, as Markdown, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import bars, catalog, figures, memory, plot, rounds

Value = Callable[[figures.Sample], float | None]


@dataclass
class Run:
    """All of one run. ``entries``: who was to be measured, in the order of the report; ``problems``: why some were left
    out. ``starts``: seconds to the first right answer, each start; ``idle``, ``after``: megabytes before and after
    load."""

    entries: Sequence[catalog.Entry]
    names: bars.Names
    conditions: list[str]
    samples: list[figures.Sample] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    deployment: memory.Idle | None = None
    interrupted: bool = False

    def judged(self) -> list[bars.Bar]:
        started = figures.figure(self.starts.get(self.names.plan, []))
        return bars.judge(
            self.samples, self.names, started.median if started else None,
            self.deployment.above if self.deployment else None,
        )  # fmt: skip


def write(run: Run, folder: Path) -> None:
    (folder / "report.md").write_text(markdown(run))
    (folder / "report.json").write_text(json.dumps(document(run), indent=1))
    (folder / "rates.svg").write_text(plot.rates(run.samples, _titles(run), run.names.peers))


def document(run: Run) -> dict[str, Any]:
    measured = asdict(run) | {"entries": [{"name": each.name, "kind": each.kind} for each in run.entries]}
    judged = [asdict(bar) | {"passed": bar.passed} for bar in run.judged()]
    return {"bars": judged, **measured}


def markdown(run: Run) -> str:
    parts = ["# Serving, measured", ""]
    if run.interrupted:
        parts += ["**Interrupted: what was measured until then.**", ""]
    parts += [f"* {each}" for each in run.conditions]
    parts += ["", "## Bars", "", *verdicts(run), ""]
    for rows in (1, 100):
        parts += _rates(run, rows)
    parts += _table(run, "Latency, closed loop, p50 / p99 in ms", rounds.CELLS, _latencies)
    parts += _table(run, "Processor time for each request, ms, whole server", rounds.CELLS, _cpu)
    parts += _half(run) + _weights(run) + _doubts(run)
    return "\n".join(parts) + "\n"


def verdicts(run: Run) -> list[str]:
    lines = ["| bar | is | must be | |", "|---|---|---|---|"]
    for bar in run.judged():
        verdict = {True: "passed", False: "**failed**", None: "not measured"}[bar.passed]
        value = "–" if bar.value is None else f"{bar.value:.3g}{bar.unit}"
        lines.append(f"| {bar.what} | {value} | {'≥' if bar.at_least else '≤'} {bar.bound:g}{bar.unit} | {verdict} |")
    return lines


def _rates(run: Run, rows: int) -> list[str]:
    cells = [cell for cell in rounds.CELLS if cell.rows == rows]
    title = f"Requests a second, {rows} row{'s' if rows > 1 else ''} each: by the best peer's in the same round"
    return _table(run, title, cells, _rate)


def _table(
    run: Run, title: str, cells: Sequence[figures.Cell], shown: Callable[[Run, str, figures.Cell], str]
) -> list[str]:
    head = [f"{cell.rows} × {cell.connections}" for cell in cells]
    lines = [f"## {title}", "", f"| rows × connections | {' | '.join(head)} |", "|---|" + "---|" * len(cells)]
    for entry in _measured(run):
        lines.append(f"| {entry.title} | {' | '.join(shown(run, entry.name, cell) for cell in cells)} |")
    return [*lines, ""]


def _rate(run: Run, server: str, cell: figures.Cell) -> str:
    own = figures.of(run.samples, server, cell, figures.rate)
    best = figures.best(run.samples, run.names.peers, cell)
    ratio = figures.ratio(run.samples, server, best, cell) if best else None
    if own is None:
        return "–"
    return (f"**{_range(ratio)}** · " if ratio else "") + f"{own.median:,.0f}/s"


def _latencies(run: Run, server: str, cell: figures.Cell) -> str:
    p50 = figures.of(run.samples, server, cell, lambda each: each.p50)
    p99 = figures.of(run.samples, server, cell, lambda each: each.p99)
    return f"{p50.median:.3g} / {p99.median:.3g}" if p50 and p99 else "–"


def _cpu(run: Run, server: str, cell: figures.Cell) -> str:
    return _range(figures.of(run.samples, server, cell, lambda each: each.cpu))


def _half(run: Run) -> list[str]:
    lines = [
        "## At half the largest rate, one row, arrivals at a fixed rate, latency from when each was due", "",
        "| | sent a second | p50 ms | p99 ms | p99 by p50 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    values: tuple[Value, ...] = (
        lambda each: each.asked, lambda each: each.p50, lambda each: each.p99,
        lambda each: each.p99 / each.p50 if each.p99 and each.p50 else None,
    )  # fmt: skip
    for entry in _measured(run):
        found = [_range(figures.of(run.samples, entry.name, rounds.HALF, value)) for value in values]
        lines.append(f"| {entry.title} | {' | '.join(found)} |")
    return [*lines, ""]


def _weights(run: Run) -> list[str]:
    lines = [
        "## Start and memory", "",
        "| | start to first right answer, s | memory idle, MB | after load, MB |", "|---|---|---|---|",
    ]  # fmt: skip
    for entry in _measured(run):
        idle, after = run.idle.get(entry.name), run.after.get(entry.name)
        shown = [_range(figures.figure(run.starts.get(entry.name, [])))]
        shown += ["–" if value is None else f"{value:.0f}" for value in (idle, after)]
        lines.append(f"| {entry.title} | {' | '.join(shown)} |")
    if (found := run.deployment) is not None:
        lines += [
            "", f"One idle deployment: its scorer {found.scorer:.0f} MB, a bare process with the model "
            f"{found.model:.0f} MB; the gateway {found.gateway_before:.0f} MB without it, {found.gateway_after:.0f} MB "
            f"with it: {found.above:.0f} MB above the model.",
        ]  # fmt: skip
    return [*lines, ""]


def _doubts(run: Run) -> list[str]:
    """What is to be known before a figure is believed."""
    lines = [f"* **{name} was left out**: {' '.join(why.split())[:1500]}" for name, why in run.problems.items()]
    titles = _titles(run)
    for cell in rounds.CELLS:
        ceiling = figures.of(run.samples, catalog.ECHO.name, cell, figures.rate)
        for entry in _measured(run):
            own = figures.of(run.samples, entry.name, cell, figures.rate)
            if own and ceiling and entry.kind != "echo" and own.median > ceiling.median / 2:
                lines.append(
                    f"* {entry.title}, {cell.rows} × {cell.connections}: {own.median:,.0f}/s is above half of what the "
                    f"load generator can send ({ceiling.median:,.0f}/s); the true figure may be larger."
                )
    for each in run.samples:
        if each.failed or each.wrong:
            lines.append(
                f"* {titles[each.server]}, {each.cell.rows} × {each.cell.connections} {each.cell.mode}, round "
                f"{each.round + 1}: {each.failed} failed, {each.wrong} wrong of {each.answers}; "
                f"{'; '.join(each.why)[:300]}"
            )
    return ["## Left out, failed, doubtful", "", *(lines or ["Nothing."])]


def _measured(run: Run) -> list[catalog.Entry]:
    known = {each.server for each in run.samples}
    return [entry for entry in run.entries if entry.name in known]


def _titles(run: Run) -> dict[str, str]:
    return {entry.name: entry.title for entry in run.entries}


def _range(found: figures.Figure | None) -> str:
    if found is None:
        return "–"
    if found.rounds == 1:
        return f"{_short(found.median)}"
    return f"{_short(found.median)} [{_short(found.least)}–{_short(found.most)}]"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
