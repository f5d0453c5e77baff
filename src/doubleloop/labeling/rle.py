"""Masks as COCO's tools write them, run-length encoded, and the outlines of what they cover.

Runs go down the columns and begin with what is not covered; as a text they are the numbers of pycocotools'
``rleToString``: five bits a character from '0' on, the sixth says that more follow, and from the fourth number on the
difference to the one before the last (https://github.com/cocodataset/cocoapi, common/maskApi.c).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from doubleloop.base import errors

# A mask of an image that is larger than this is not unpacked.
MOST_PIXELS = 50_000_000
# Masks of more than this are noise.
MOST_EDGES, MOST_HOLES = 300_000, 2_000
UP = (0, -1)

Point = tuple[int, int]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def mask(told: Mapping[str, Any]) -> Mask:
    """``{"size": [height, width], "counts": [runs] or a text}`` as an array of that shape. Raises InvalidInput."""
    size, counts = told.get("size"), told.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(each) is int and each > 0 for each in size):
        raise errors.InvalidInput(f"The size of a mask is [height, width], not {str(size)[:60]}")
    pixels = size[0] * size[1]
    if pixels > MOST_PIXELS:
        raise errors.InvalidInput(f"A mask of {size[1]} x {size[0]} pixels is too large", cure="Write it as polygons.")
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(each) is int and each >= 0 for each in runs):
        raise errors.InvalidInput("The runs of a mask are whole numbers from 0 on, or the text that stands for them")
    if sum(runs) != pixels:
        raise errors.InvalidInput(
            f"The runs of a mask cover {sum(runs)} pixels, and {size[1]} x {size[0]} are {pixels}"
        )
    covered = np.arange(len(runs)) % 2 == 1
    return np.repeat(covered, runs).reshape(size[1], size[0]).T


def _runs(text: str) -> list[int]:
    found: list[int] = []
    number = place = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or place > 6:
            raise errors.InvalidInput(f"'{sign}' does not belong into the runs of a mask")
        number |= (bits & 31) << 5 * place
        place += 1
        if not bits & 32:
            number -= (1 << 5 * place) if bits & 16 else 0
            found.append(number + (found[-2] if len(found) > 2 else 0))
            number = place = 0
    if place:
        raise errors.InvalidInput("The runs of a mask end in the middle of a number")
    return found


@dataclass(frozen=True)
class Loop:
    """A way along the edges of pixels, what is covered on its right hand: around a part it turns right, around a hole
    left. ``rises``: the pixels that it has at its right as it goes up, each the first of a run in its row."""

    corners: list[Point]
    rises: list[Point]

    @property
    def area(self) -> float:
        """Shoelace formula; y goes down, so that a way with the clock is positive."""
        x, y = np.array(self.corners, dtype=float).T
        return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def outlines(covered: Mask) -> list[list[list[float]]]:
    """A polygon ``[[x, y], …]`` along the edges of pixels around each part that hangs together by sides.

    A hole is cut in from the nearest corner, so that the area of the polygon is that of the pixels. Raises InvalidInput
    for a mask with more edges or holes than outlines are good for.
    """
    loops = list(_loops(covered))
    around = {number for number, loop in enumerate(loops) if loop.area > 0}
    if len(loops) - len(around) > MOST_HOLES:
        raise errors.InvalidInput(f"The mask has {len(loops) - len(around)} holes, and no shapes", cure="Smooth it.")
    owners = {pixel: number for number, loop in enumerate(loops) for pixel in loop.rises}
    holes: dict[int, list[list[Point]]] = {number: [] for number in around}
    for number in set(range(len(loops))) - around:
        holes[_part(number, loops, around, owners, covered)].append(loops[number].corners)
    return [
        [[float(x), float(y)] for x, y in _joined(loops[number].corners, inside)] for number, inside in holes.items()
    ]


def _part(number: int, loops: list[Loop], around: set[int], owners: dict[Point, int], covered: Mask) -> int:
    """The loop around the part that a hole is in: left of the hole is a run of the part, which begins at that loop, or
    at a hole of the same part farther left."""
    while number not in around:
        x, y = min(loops[number].corners)
        gaps = np.flatnonzero(~covered[y, :x])
        number = owners[int(gaps[-1]) + 1 if len(gaps) else 0, y]
    return number


def _loops(covered: Mask) -> Iterator[Loop]:
    onward = _edges(covered)
    while onward:
        start = point = next(iter(onward))
        corners: list[Point] = []
        rises: list[Point] = []
        step = onward[start][0]
        while point in onward:
            there = onward[point]
            # Where two pixels touch by a corner, the way stays with its own pixel.
            right = (-step[1], step[0])
            new = right if right in there else there[0]
            there.remove(new)
            if not there:
                del onward[point]
            if new != step or not corners:
                corners.append(point)
            step, point = new, (point[0] + new[0], point[1] + new[1])
            if step == UP:
                rises.append(point)
            if point == start:
                break
        yield Loop(_corners(corners), rises)


def _corners(points: list[Point]) -> list[Point]:
    """Without a first point that lies within a side."""
    (x, y), (before_x, before_y), (after_x, after_y) = points[0], points[-1], points[1]
    return points[1:] if (x == before_x == after_x) or (y == before_y == after_y) else points


def _edges(covered: Mask) -> dict[Point, list[Point]]:
    """Point → the steps that lead on from it, one pixel long."""
    framed = np.pad(covered, 1)
    inner = framed[1:-1, 1:-1]
    sides = (
        (framed[:-2, 1:-1], (0, 0), (1, 0)), (framed[1:-1, 2:], (1, 0), (0, 1)),
        (framed[2:, 1:-1], (1, 1), (-1, 0)), (framed[1:-1, :-2], (0, 1), UP),
    )  # fmt: skip
    count = sum(int(np.count_nonzero(inner & ~beyond)) for beyond, _, _ in sides)
    if count > MOST_EDGES:
        raise errors.InvalidInput(f"The mask has edges of {count} pixels, and no shapes", cure="Smooth it.")
    found: dict[Point, list[Point]] = {}
    for beyond, (right, down), step in sides:
        for y, x in np.argwhere(inner & ~beyond).tolist():
            found.setdefault((x + right, y + down), []).append(step)
    return found


def _joined(part: list[Point], holes: list[list[Point]]) -> list[Point]:
    """The part's corners, and at the one nearest to a hole the way around it and back."""
    places, inside = np.array(part), dict[int, list[list[Point]]]()
    for hole in holes:
        first = min(range(len(hole)), key=lambda number: hole[number])
        at = int(np.abs(places - np.array(hole[first])).sum(axis=1).argmin())
        inside.setdefault(at, []).append([*hole[first:], *hole[: first + 1]])
    found: list[Point] = []
    for at, corner in enumerate(part):
        found.append(corner)
        for way in inside.get(at, ()):
            found += [*way, corner]
    return found
