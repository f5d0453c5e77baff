"""The rates as one picture: bars on a logarithmic scale, each server by the best peer. SVG, written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.serving import figures

PANELS = tuple(figures.Cell(rows, connections) for rows in (1, 100) for connections in (1, 16, 64))
LEFT, WIDTH, ROW, HEAD, GAP = 210, 520, 18, 34, 16
OURS, PEER = "#1f6feb", "#9aa4b2"


def rates(samples: Sequence[figures.Sample], titles: Mapping[str, str], peers: Sequence[str]) -> str:
    """A panel for each cell, a bar with its range over rounds for each server."""
    top, parts = GAP, []
    for cell in PANELS:
        best = figures.best(samples, peers, cell)
        found = {name: figures.ratio(samples, name, best, cell) for name in titles} if best else {}
        known = {name: ratio for name, ratio in found.items() if ratio is not None}
        if best and known:
            parts += _panel(cell, titles[best], {titles[name]: ratio for name, ratio in known.items()}, top)
            top += HEAD + ROW * len(known) + GAP
    size = f'width="{LEFT + WIDTH + 120}" height="{top}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect {size} fill="white"/>{"".join(parts)}</svg>\n'
    )


def _panel(cell: figures.Cell, best: str, ratios: Mapping[str, figures.Figure], top: int) -> list[str]:
    low = min(0.5, *(each.least for each in ratios.values()))
    high = max(2.0, *(each.most for each in ratios.values()))

    def x(value: float) -> float:
        return LEFT + WIDTH * math.log(value / low) / math.log(high / low) if value > 0 else LEFT

    title = f"{cell.rows} row(s), {cell.connections} connection(s): requests a second by those of {best} (logarithmic)"
    parts = [f'<text x="8" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    bottom = top + HEAD + ROW * len(ratios)
    parts.append(f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{top + HEAD - 6}" y2="{bottom}" stroke="#d0d7de"/>')
    for position, (title, each) in enumerate(ratios.items()):
        y = top + HEAD + ROW * position
        colour = OURS if title.startswith("Doubleloop") else PEER
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 9}" text-anchor="end">{escape(title)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{max(1.0, x(each.median) - LEFT):.1f}" height="{ROW - 6}" '
            f'fill="{colour}"/>',
            f'<line x1="{x(each.least):.1f}" x2="{x(each.most):.1f}" y1="{y + 6}" y2="{y + 6}" stroke="#24292f"/>',
            f'<text x="{max(x(each.median), x(each.most)) + 6:.1f}" y="{y + 10}">{each.median:.3g}×</text>',
        ]
    return parts
