"""Masks as COCO's tools write them, run-length encoded, and the outlines of what they cover.

Runs go down the columns and begin with what is not covered; as a text they are the numbers of pycocotools'
``rleToString``: five bits a character from '0' on, the sixth says that more follow, and from the fourth number on the
difference to the one before the last (https://github.com/cocodataset/cocoapi, common/maskApi.c).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from doubleloop.base import errors

# A mask of an image that is larger than this is not unpacked.
MOST_PIXELS = 50_000_000

Point = tuple[int, int]


def mask(told: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
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


def outlines(covered: np.ndarray[Any, np.dtype[np.bool_]]) -> list[list[list[float]]]:
    """A polygon ``[[x, y], …]`` along the edges of pixels around each part that hangs together by sides.

    A hole is cut in from the nearest corner, so that the area of the polygon is that of the pixels.
    """
    loops = list(_loops(covered))
    parts = sorted((loop for loop in loops if _area(loop) > 0), key=_area)
    whole = list(parts)
    for hole in (loop for loop in loops if _area(loop) < 0):
        around = next(number for number, part in enumerate(whole) if _holds(part, *_beside(hole)))
        parts[around] = _joined(parts[around], hole)
    return [[[float(x), float(y)] for x, y in part] for part in parts]


def _loops(covered: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[list[Point]]:
    """Corners of each way along the edges, what is covered on the right hand: parts turn right, holes left."""
    onward = _edges(covered)
    while onward:
        start = point = next(iter(onward))
        corners: list[Point] = []
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
            if point == start:
                break
        yield _corners(corners)


def _corners(points: list[Point]) -> list[Point]:
    """Without a first point that lies within a side."""
    (x, y), (before_x, before_y), (after_x, after_y) = points[0], points[-1], points[1]
    return points[1:] if (x == before_x == after_x) or (y == before_y == after_y) else points


def _edges(covered: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[Point, list[Point]]:
    """Point → the steps that lead on from it, one pixel long."""
    framed = np.pad(covered, 1)
    inner = framed[1:-1, 1:-1]
    sides = (
        (framed[:-2, 1:-1], (0, 0), (1, 0)), (framed[1:-1, 2:], (1, 0), (0, 1)),
        (framed[2:, 1:-1], (1, 1), (-1, 0)), (framed[1:-1, :-2], (0, 1), (0, -1)),
    )  # fmt: skip
    found: dict[Point, list[Point]] = {}
    for beyond, (right, down), step in sides:
        for y, x in np.argwhere(inner & ~beyond).tolist():
            found.setdefault((x + right, y + down), []).append(step)
    return found


def _area(loop: Sequence[Point]) -> float:
    """Shoelace formula; y goes down, so that a way with the clock is positive."""
    x, y = np.array(loop, dtype=float).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _beside(hole: Sequence[Point]) -> tuple[float, float]:
    """The middle of a covered pixel at a hole's first edge, on its right hand."""
    (x, y), (to_x, to_y) = hole[0], hole[1]
    across, down = np.sign(to_x - x), np.sign(to_y - y)
    return float(x + (across - down) / 2), float(y + (down + across) / 2)


def _holds(loop: Sequence[Point], x: float, y: float) -> bool:
    """Whether a ray to the right crosses the way an odd number of times."""
    one = np.array(loop, dtype=float)
    two = np.roll(one, -1, axis=0)
    upright = (one[:, 1] > y) != (two[:, 1] > y)
    return bool(np.count_nonzero(upright & (one[:, 0] > x)) % 2)


def _joined(part: list[Point], hole: list[Point]) -> list[Point]:
    first = min(range(len(hole)), key=lambda number: hole[number])
    gaps = np.abs(np.array(part) - np.array(hole[first])).sum(axis=1)
    at = int(gaps.argmin())
    return [*part[: at + 1], *hole[first:], *hole[: first + 1], *part[at:]]
