"""Masks as COCO's tools write them, run-length encoded down the columns, beginning with what is not covered.

As a text, runs are the numbers of pycocotools' ``rleToString`` (https://github.com/cocodataset/cocoapi,
common/maskApi.c): five bits a character from '0' on, the sixth says that more follow, and from the fourth number on the
difference to the one before the last. The labelling room reads the same; a test holds one against the other.
"""

from __future__ import annotations

from typing import Any

import numpy

from .faults import BadData


def mask(told: dict[str, Any], where: str, size: tuple[int, int]) -> numpy.ndarray:
    """``{"size": [height, width], "counts": [runs] or a text}`` as booleans of shape ``size`` (height, width).

    Raises BadData."""
    counts = told.get("counts")
    if list(told.get("size") or ()) != list(size):
        raise BadData("the mask is of size {}, its image of {} x {}".format(told.get("size"), *size), where)
    runs = _runs(counts, where) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(each) is int and each >= 0 for each in runs):
        raise BadData("the runs of a mask are whole numbers from 0 on, or the text that stands for them", where)
    if sum(runs) != size[0] * size[1]:
        raise BadData(f"the runs of a mask cover {sum(runs)} pixels, its image has {size[0] * size[1]}", where)
    covered = numpy.arange(len(runs)) % 2 == 1
    return numpy.repeat(covered, runs).reshape(size[1], size[0]).T


def _runs(text: str, where: str) -> list[int]:
    found: list[int] = []
    number = place = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or place > 6:
            raise BadData(f"'{sign}' does not belong into the runs of a mask", where)
        number |= (bits & 31) << 5 * place
        place += 1
        if not bits & 32:
            number -= (1 << 5 * place) if bits & 16 else 0
            found.append(number + (found[-2] if len(found) > 2 else 0))
            number = place = 0
    if place:
        raise BadData("the runs of a mask end in the middle of a number", where)
    return found
