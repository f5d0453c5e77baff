"""How far people who label the same things agree, beyond what chance alone would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence

Box = Sequence[float]


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
    if not first and not second:
        return 1.0
    near = sorted(
        ((box_overlap(one, other), i, j) for i, (label, one) in enumerate(first)
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
