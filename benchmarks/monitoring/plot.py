"""Processor time by that of decoding alone, as one picture: bars on a logarithmic scale. SVG, written by hand."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from html import escape

from benchmarks.monitoring import bars

LEFT, WIDTH, ROW, HEAD = 250, 480, 20, 34
OURS, PEER = "#1f6feb", "#9aa4b2"


def costs(samples: Sequence[bars.Sample]) -> str:
    """A bar for each contender and task at each number of rows: its median by the median of decoding those rows."""
    limits = _medians([each for each in samples if each.task == bars.DECODE])
    decode = {rows: cpu for (_, _, rows), cpu in limits.items()}
    kept = [each for each in samples if each.task in bars.LIMITS and each.rows in decode]
    found = {key: cpu / decode[key[2]] for key, cpu in sorted(_medians(kept).items(), key=lambda item: item[0][2])}
    most = max([10.0, *found.values()])
    size = f'width="{LEFT + WIDTH + 90}" height="{HEAD + ROW * len(found) + 16}"'
    title = "processor time by that of decoding the same files (logarithmic)"
    parts = [f'<text x="8" y="18" font-weight="bold">{title}</text>']
    for position, ((name, task, rows), value) in enumerate(found.items()):
        y = HEAD + ROW * position
        width = max(1.0, WIDTH * math.log(max(value, 1.0)) / math.log(most))
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(f"{name}, {task}, {rows:,} rows")}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 6}" '
            f'fill="{OURS if name == bars.OURS else PEER}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 11}">{value:.3g}×</text>',
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect {size} fill="white"/>{"".join(parts)}</svg>\n'
    )


def _medians(samples: Sequence[bars.Sample]) -> dict[tuple[str, str, int], float]:
    keys = dict.fromkeys((each.contender, each.task, each.rows) for each in samples)
    return {
        key: statistics.median(each.cpu for each in samples if (each.contender, each.task, each.rows) == key)
        for key in keys
    }
