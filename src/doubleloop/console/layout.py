"""Drawing a graph in layers, left to right: longest path for the layers, stand-ins for long edges, sweeps of the
barycentre to have few crossings (Sugiyama, Tagawa, Toda 1981). Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 172.0, 52.0
GAP_X, GAP_Y = 80.0, 22.0
MARGIN = 12.0
SWEEPS = 6


@dataclass(frozen=True)
class Box:
    name: str
    x: float
    y: float
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Line:
    """``path`` is SVG; the label belongs at (``x``, ``y``)."""

    source: str
    target: str
    label: str
    path: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


Link = tuple[str, str, str]
_Point = tuple[float, float]


def layers(names: Sequence[str], links: Iterable[Link]) -> dict[str, int]:
    """The layer of each name: one more than the furthest of those before it. Raises ValueError for a cycle."""
    before: dict[str, set[str]] = {name: set() for name in names}
    for source, target, _ in links:
        before[target].add(source)
    found: dict[str, int] = {}
    while len(found) < len(before):
        ready = [name for name in before if name not in found and before[name] <= found.keys()]
        if not ready:
            raise ValueError(f"a cycle among {', '.join(sorted(set(before) - set(found)))}")
        found.update({name: 1 + max((found[each] for each in before[name]), default=-1) for name in ready})
    return found


def draw(names: Sequence[str], links: Iterable[Link]) -> Drawing:
    """Boxes for ``names`` and lines for ``links`` (source, target, label); several of one pair share a line.

    Links to names that are not there are left out. Raises ValueError for a cycle.
    """
    known = set(names)
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source, target, label in links:
        if source in known and target in known:
            labels[(source, target)] += [label] if label and label not in labels[(source, target)] else []
    level = layers(names, [(*pair, "") for pair in labels])
    rows, chains = _with_stand_ins(names, level, labels)
    _order(rows, chains)
    places = _place(rows)
    boxes = tuple(Box(name, *places[name]) for name in names)
    lines = tuple(_line(pair, ", ".join(labels[pair]), chain, places) for pair, chain in chains.items())
    width = MARGIN * 2 + len(rows) * WIDTH + max(len(rows) - 1, 0) * GAP_X
    height = MARGIN * 2 + max((_height(row) for row in rows), default=0.0)
    return Drawing(width, height, boxes, lines)


_Chains = dict[tuple[str, str], list[str]]


def _with_stand_ins(
    names: Sequence[str], level: dict[str, int], pairs: Iterable[tuple[str, str]]
) -> tuple[list[list[str]], _Chains]:
    """Names per layer, and for each pair what its line passes, layer by layer (stand-ins begin with a NUL)."""
    rows: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in names:
        rows[level[name]].append(name)
    chains: _Chains = {}
    for source, target in pairs:
        chain = [source]
        for layer in range(level[source] + 1, level[target]):
            stand_in = f"\0{source}\0{target}\0{layer}"
            rows[layer].append(stand_in)
            chain.append(stand_in)
        chains[(source, target)] = [*chain, target]
    return rows, chains


def _order(rows: list[list[str]], chains: _Chains) -> None:
    """Reorder each layer by where its neighbours stand, forth and back."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for chain in chains.values():
        for left, right in itertools.pairwise(chain):
            before[right].append(left)
            after[left].append(right)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        neighbours = before if forth else after
        for index in range(1, len(rows)) if forth else range(len(rows) - 2, -1, -1):
            beside = rows[index - 1] if forth else rows[index + 1]
            place = {name: position for position, name in enumerate(beside)}
            own = {name: float(position) for position, name in enumerate(rows[index])}
            rows[index].sort(key=lambda name: _middle([place[n] for n in neighbours[name]], own[name]))


def _middle(places: list[int], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _tall(name: str) -> float:
    return HEIGHT / 2 if name.startswith("\0") else HEIGHT


def _height(row: list[str]) -> float:
    return sum(_tall(name) for name in row) + GAP_Y * max(len(row) - 1, 0)


def _place(rows: list[list[str]]) -> dict[str, _Point]:
    """The upper left corner of everything; layers are centred on each other."""
    tallest = max((_height(row) for row in rows), default=0.0)
    found: dict[str, _Point] = {}
    for index, row in enumerate(rows):
        y = MARGIN + (tallest - _height(row)) / 2
        for name in row:
            found[name] = (MARGIN + index * (WIDTH + GAP_X), y)
            y += _tall(name) + GAP_Y
    return found


def _line(pair: tuple[str, str], label: str, chain: list[str], places: dict[str, _Point]) -> Line:
    """A smooth line from the right side of the first box through its stand-ins to the left side of the last."""
    stops = [(places[name][0], places[name][1] + _tall(name) / 2) for name in chain]
    x, y = stops[0][0] + WIDTH, stops[0][1]
    path, start = [f"M{x:g},{y:g}"], (x, y)
    for index, (left, middle) in enumerate(stops[1:], 1):
        half = (left - x) / 2
        path.append(f"C{x + half:g},{y:g} {left - half:g},{middle:g} {left:g},{middle:g}")
        x, y = left, middle
        if index < len(stops) - 1:
            x += WIDTH
            path.append(f"H{x:g}")
    first = stops[1]
    return Line(*pair, label, "".join(path), (start[0] + first[0]) / 2, (start[1] + first[1]) / 2)
