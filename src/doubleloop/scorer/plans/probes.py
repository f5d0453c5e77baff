"""Rows on which a plan and its model must say the same before the plan is used."""

from __future__ import annotations

import random
from typing import Any, Dict, Iterator, List, Sequence

from .steps import Inputs

ROWS = 240
ALONE = 12
WIDTHS = (1.0, 10.0, 100.0, 1000.0)
LIMITS = {"integer": 2**31 - 1, "long": 2**53}


class Known:
    """What a model says of its inputs: categories that it knows, numbers at which it decides."""

    def __init__(self) -> None:
        self.categories: Dict[int, List[Any]] = {}
        self.numbers: Dict[int, List[float]] = {}


def table(inputs: Inputs, optional: Sequence[bool], known: Known, unknown: bool, seed: int = 7) -> List[List[Any]]:
    """``ROWS`` rows as columns, the same ones each time. ``unknown``: categories that the model never saw as well."""
    draw = random.Random(seed)
    found = []
    for position, kind in enumerate(inputs.types):
        values = _column(draw, kind, known, position, unknown)
        column = [next(values) for _ in range(ROWS)]
        if optional[position] and kind not in LIMITS:  # whole numbers cannot be missing
            column = [None if draw.random() < 0.1 else value for value in column]
        found.append(column)
    return found


def _column(draw: random.Random, kind: str, known: Known, position: int, unknown: bool) -> Iterator[Any]:
    categories, numbers = known.categories.get(position), known.numbers.get(position) or [0.0]
    while True:
        if categories and (kind == "string" or not unknown or draw.random() < 0.8):
            value = draw.choice(categories)
            yield "never seen before" if unknown and kind == "string" and draw.random() < 0.1 else value
        elif kind == "string":
            yield draw.choice(("a", "b", "ß", ""))
        elif kind == "boolean":
            yield draw.random() < 0.5
        else:
            yield _number(draw, kind, draw.choice(numbers))


def _number(draw: random.Random, kind: str, around: float) -> Any:
    """At a number, just beside it, or about it."""
    value = around
    fate = draw.random()
    if fate > 0.25:
        value += draw.gauss(0.0, 1.0) * draw.choice(WIDTHS) * (abs(around) / 100 if around and fate > 0.7 else 1.0)
    if kind in LIMITS:
        return max(-LIMITS[kind], min(LIMITS[kind], round(value)))
    return float(value)
