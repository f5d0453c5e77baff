"""How far people who label the same things agree, beyond what chance alone would give."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import TypeVar

Box = Sequence[float]
Point = Sequence[float]
Outline = Sequence[Point]
Shape = TypeVar("Shape")


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Of two people's labels of the same items, in the same order: (p_o - p_e) / (1 - p_e) (J. Cohen 1960, *A
    coefficient of agreement for nominal scales*). 1 is full agreement, 0 what chance gives. None where it is not
    defined: no items, or both used one and the same label alone.

    Raises ValueError for sequences of different lengths.
    """
    number = len(first)
    pairs = list(zip(first, second, strict=True))
    if not pairs:
        return None
    mine, theirs = Counter(first), Counter(second)
    observed = sum(one == other for one, other in pairs) / number
    expected = sum(mine[label] * theirs[label] for label in mine) / number**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Of any number of people, for labels without an order: 1 - D_o / D_e from the matrix of coincidences
    (K. Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*). ``units``: the labels that each item got;
    one that got fewer than two does not count. None where it is not defined: nothing was labelled twice, or only one
    label was ever used.
    """
    totals: Counter[Hashable] = Counter()
    disagreement, number = 0.0, 0
    for unit in units:
        size = len(unit)
        if size < 2:
            continue
        counts = Counter(unit)
        totals.update(counts)
        number += size
        disagreement += (size**2 - sum(each**2 for each in counts.values())) / (size - 1)
    expected = number**2 - sum(each**2 for each in totals.values())
    return None if expected == 0 else 1 - (number - 1) * disagreement / expected


def set_overlap(first: Collection[Hashable], second: Collection[Hashable]) -> float:
    """Intersection over union; two empty sets are alike (1)."""
    union = set(first) | set(second)
    return len(set(first) & set(second)) / len(union) if union else 1.0


def span_overlap(first: Sequence[Mapping[str, object]], second: Sequence[Mapping[str, object]]) -> float:
    """Intersection over union of the characters that two people marked, each with its label."""
    return set_overlap(_characters(first), _characters(second))


def _characters(spans: Sequence[Mapping[str, object]]) -> set[tuple[object, int]]:
    return {(each["label"], at) for each in spans for at in range(int(str(each["start"])), int(str(each["end"])))}


def box_overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes ``(x, y, width, height)``."""
    wide = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    high = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, wide) * max(0.0, high)
    union = first[2] * first[3] + second[2] * second[3] - common
    return common / union if union > 0 else 0.0


def boxes_overlap(first: Sequence[tuple[Hashable, Box]], second: Sequence[tuple[Hashable, Box]]) -> float:
    """Mean intersection over union of boxes with labels: pairs of one label are matched, the best first, and a box
    that stays alone counts as 0. Two empty sides are alike (1)."""
    return _matched(first, second, box_overlap)


def outlines_overlap(
    first: Sequence[tuple[Hashable, Outline]], second: Sequence[tuple[Hashable, Outline]]
) -> float:  # fmt: skip
    """As ``boxes_overlap``, of the areas inside outlines ``[(x, y), …]``."""
    return _matched(first, second, outline_overlap)


def _matched(
    first: Sequence[tuple[Hashable, Shape]], second: Sequence[tuple[Hashable, Shape]],
    overlap: Callable[[Shape, Shape], float],
) -> float:  # fmt: skip
    if not first and not second:
        return 1.0
    near = sorted(
        ((overlap(one, other), i, j) for i, (label, one) in enumerate(first)
         for j, (name, other) in enumerate(second) if label == name),
        key=lambda each: (-each[0], each[1], each[2]),
    )  # fmt: skip
    mine, theirs, total = set(), set(), 0.0
    for value, i, j in near:
        if i not in mine and j not in theirs:
            mine.add(i)
            theirs.add(j)
            total += value
    return total / max(len(first), len(second))


def outline_overlap(first: Outline, second: Outline) -> float:
    """Intersection over union of the areas inside two outlines (even-odd where one crosses itself), exactly: between
    two neighbours among the heights of corners and crossings all edges are straight and keep their order, so that each
    slice's area is its height times its width in the middle."""
    edges = [_edges(first), _edges(second)]
    heights = sorted({y for side in edges for a, b in side for y in (a[1], b[1])} | _crossings(edges[0] + edges[1]))
    common = union = 0.0
    for low, high in itertools.pairwise(heights):
        ones, others = (_inside(side, (low + high) / 2) for side in edges)
        both = _shared(ones, others)
        common += (high - low) * both
        union += (high - low) * (_length(ones) + _length(others) - both)
    return common / union if union > 0 else 0.0


def _edges(outline: Outline) -> list[tuple[Point, Point]]:
    return [(one, other) for one, other in zip(outline, [*outline[1:], outline[0]], strict=True) if one[1] != other[1]]


def _crossings(edges: Sequence[tuple[Point, Point]]) -> set[float]:
    """Heights at which two edges cross."""
    found = set()
    for (a, b), (c, d) in itertools.combinations(edges, 2):
        turn = (b[0] - a[0]) * (d[1] - c[1]) - (b[1] - a[1]) * (d[0] - c[0])
        if turn:
            along = ((c[0] - a[0]) * (d[1] - c[1]) - (c[1] - a[1]) * (d[0] - c[0])) / turn
            other = ((c[0] - a[0]) * (b[1] - a[1]) - (c[1] - a[1]) * (b[0] - a[0])) / turn
            if 0 < along < 1 and 0 < other < 1:
                found.add(a[1] + along * (b[1] - a[1]))
    return found


def _inside(edges: Sequence[tuple[Point, Point]], y: float) -> list[tuple[float, float]]:
    """From where to where a line at height ``y`` is inside."""
    at = sorted(
        a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) for a, b in edges if min(a[1], b[1]) < y < max(a[1], b[1])
    )
    return list(zip(at[::2], at[1::2], strict=True))


def _length(parts: Sequence[tuple[float, float]]) -> float:
    return sum(end - start for start, end in parts)


def _shared(ones: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> float:
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in ones for b in others)
