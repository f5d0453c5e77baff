"""Series and histograms in the shapes that are drawn. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# As many lines as can be told apart on one chart.
MAX_LINES = 6


@dataclass(frozen=True)
class Chart:
    """One metric of one signal.

    ``times`` are seconds since 1970, oldest first; each of ``lines`` is ``{"label", "values", "alerts"}`` with a value
    (or None) and an alert mark (or None) per time. ``hidden`` counts the columns that are not drawn because others are
    nearer to their threshold.
    """

    signal: str
    metric: str
    threshold: float | None
    times: tuple[float, ...]
    lines: tuple[dict[str, Any], ...]
    hidden: int
    alerts: int

    def data(self) -> dict[str, Any]:
        """What the page's script draws."""
        return {"times": self.times, "lines": self.lines, "threshold": self.threshold, "metric": self.metric}

    def describe(self) -> str:
        """The chart in words, for who does not see it."""
        said = [f"{self.metric} of {self.signal}, {len(self.times)} runs"]
        for line in self.lines:
            known = [value for value in line["values"] if value is not None]
            if known:
                said.append(f"{line['label']}: from {known[0]:.4g} to {known[-1]:.4g}")
        if self.threshold is not None:
            said.append(f"threshold {self.threshold:.4g}")
        said.append(f"{self.alerts} points in alert")
        return "; ".join(said)


def _near(line: Mapping[str, Any]) -> float:
    """How far the newest known value has come towards its threshold; without one, its size."""
    known = [value for _, value, _ in line["points"] if value is not None]
    newest = abs(known[-1]) if known else -1.0
    return newest / abs(line["threshold"]) if line.get("threshold") else newest


def group(series: Iterable[Mapping[str, Any]], most: int = MAX_LINES) -> list[Chart]:
    """Charts from ``monitoring.queries.series``: one per signal and metric, those with alerts first."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in series:
        found.setdefault((line["signal"], line["metric"]), []).append(line)
    charts = [_chart(*key, lines, most) for key, lines in found.items()]
    return sorted(charts, key=lambda chart: (chart.alerts == 0, chart.signal, chart.metric))


def _chart(signal: str, metric: str, lines: list[Mapping[str, Any]], most: int) -> Chart:
    chosen = sorted(lines, key=lambda line: (-_near(line), line["column"]))[:most]
    times = sorted({at for line in lines for at, _, _ in line["points"]})
    drawn = tuple(_on(times, line) for line in chosen)
    thresholds = {line.get("threshold") for line in chosen}
    return Chart(
        signal, metric, thresholds.pop() if len(thresholds) == 1 else None,
        tuple(at.timestamp() for at in times), drawn, len(lines) - len(chosen),
        sum(1 for line in lines for _, _, alert in line["points"] if alert),
    )  # fmt: skip


def _on(times: Sequence[datetime], line: Mapping[str, Any]) -> dict[str, Any]:
    values = {at: value for at, value, _ in line["points"]}
    alerts = {at: value for at, value, alert in line["points"] if alert}
    return {
        "label": line["column"] or line["metric"],
        "values": [values.get(at) for at in times],
        "alerts": [alerts.get(at) for at in times],
    }


@dataclass(frozen=True)
class Spark:
    """A small line in a box of 120 × 28: ``path`` and ``limit`` (the threshold's height, if it is in reach) are SVG
    coordinates, ``end`` is the newest point."""

    label: str
    path: str
    end: tuple[float, float]
    limit: float | None
    value: float
    threshold: float | None
    alert: bool


SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 120.0, 28.0, 3.0


def spark(label: str, points: Sequence[Sequence[Any]], threshold: float | None, most: int = 60) -> Spark | None:
    """The newest ``most`` points ``[at, value, alert]``, or None when no value is known."""
    known = [(value, alert) for _, value, alert in points if value is not None][-most:]
    if not known:
        return None
    values = [value for value, _ in known]
    low, high = min([*values, *_reach(values, threshold)]), max([*values, *_reach(values, threshold)])
    size = high - low or 1.0

    def height(value: float) -> float:
        return round(SPARK_HEIGHT - SPARK_EDGE - (value - low) / size * (SPARK_HEIGHT - 2 * SPARK_EDGE), 1)

    step = (SPARK_WIDTH - 2 * SPARK_EDGE) / max(len(values) - 1, 1)
    places = [(round(SPARK_EDGE + step * index, 1), height(value)) for index, value in enumerate(values)]
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y in places)
    limit = height(threshold) if threshold is not None and _reach(values, threshold) else None
    return Spark(label, path, places[-1], limit, values[-1], threshold, bool(known[-1][1]))


def _reach(values: Sequence[float], threshold: float | None) -> list[float]:
    """The threshold, unless it is so far away that the line would be flat."""
    if threshold is None or abs(threshold) > 20 * (max(map(abs, values)) or 1.0):
        return []
    return [threshold]


def sparks(series: Iterable[Mapping[str, Any]], most: int = 3) -> list[Spark]:
    """One small line per signal: that of its metric and column which is nearest to its threshold."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in series:
        best = found.get(line["signal"])
        if best is None or _near(line) > _near(best):
            found[line["signal"]] = line
    drawn = []
    for signal, line in sorted(found.items(), key=lambda item: -_near(item[1])):
        column = f" · {line['column']}" if line["column"] else ""
        each = spark(f"{signal}: {line['metric']}{column}", line["points"], line.get("threshold"))
        drawn += [each] if each else []
    return drawn[:most]


@dataclass(frozen=True)
class Bar:
    """A bucket: answers between ``low`` and ``high`` ms; ``x``, ``width``, ``height`` are per cents of the drawing."""

    low: float
    high: float
    count: int
    x: float
    width: float
    height: float


def histogram(counts: Sequence[int], bounds: Sequence[float]) -> list[Bar]:
    """Bars of the occupied buckets and those between them, all equally wide (the buckets are logarithmic)."""
    occupied = [index for index, count in enumerate(counts) if count]
    if not occupied:
        return []
    chosen = range(max(occupied[0] - 1, 0), min(occupied[-1] + 2, len(counts)))
    width, most = 100.0 / len(chosen), max(counts)
    return [
        Bar(
            bounds[index - 1] if index else 0.0, bounds[index] if index < len(bounds) else float("inf"), counts[index],
            round(place * width, 3), round(width, 3), round(100.0 * counts[index] / most, 3),
        )
        for place, index in enumerate(chosen)
    ]  # fmt: skip


@dataclass(frozen=True)
class Share:
    name: str
    percent: int
    x: int


def shares(traffic: Mapping[str, int]) -> list[Share]:
    """Traffic as pieces of one bar, from 0 to 100."""
    found, x = [], 0
    for name, percent in traffic.items():
        found.append(Share(name, percent, x))
        x += percent
    return found
