"""Whole tables through a model's plan, a block of rows at a time.

The blocks are small enough for the processor's cache: a forest reads every row once for each of its trees; and large
enough for what is done once a block.
"""

from __future__ import annotations

import random
import time
from typing import Any, Dict, List, Optional, Sequence

import numpy

from .plans.coded import Coded
from .plans.comparing import Disagreement, difference
from .plans.guarded import Guarded

BLOCK_ROWS = 4096
# Rows of a table that the model is asked about as well, and the share of the time that this may take beyond the first
# table of a mini-batch.
COMPARED_ROWS = 64
SHARE = 0.02


class Bulk:
    """``guarded`` is the model with its plan; ``specs`` the columns of its signature.

    A table is a list with one array of numbers, or one ``Coded``, for each of them.
    """

    def __init__(self, guarded: Guarded, specs: Sequence[Dict[str, Any]]) -> None:
        self._guarded = guarded
        self.types = [spec["type"] for spec in specs]
        self.names = [spec.get("name") for spec in specs]
        self._next_review = 0.0
        self._draw = random.Random(11)

    def predict(self, columns: List[Any], rows: int) -> Any:
        """One prediction a row, as the model's own ``predict`` shapes them; None when the plan has none for them."""
        parts = []
        blocks = max(1, rows // BLOCK_ROWS)
        for number in range(blocks):
            first, end = rows * number // blocks, rows * (number + 1) // blocks
            block = [_part(column, first, end) for column in columns]
            answer = self._guarded.planned(block)
            if answer is None:
                return None
            parts.append(answer)
        return numpy.concatenate(parts) if parts else None

    def begin(self) -> None:
        """A new mini-batch: its first table is compared, whatever the time says."""
        self._next_review = 0.0

    def chosen(self, rows: int) -> List[int]:
        """Rows to compare with the model, if it is time for that; else none."""
        if time.perf_counter() < self._next_review:
            return []
        return sorted(self._draw.sample(range(rows), min(rows, COMPARED_ROWS)))

    def compare(self, found: Any, expected: Any, began: float) -> Optional[str]:
        """What is wrong with the plan's answers, beside the model's own for the same rows (asked since ``began``)."""
        try:
            self._guarded.largest = max(self._guarded.largest, difference(found, expected))
        except Disagreement as error:
            return str(error)
        now = time.perf_counter()
        self._next_review = now + (now - began) / SHARE
        return None


def _part(column: Any, first: int, end: int) -> Any:
    return column.part(first, end) if isinstance(column, Coded) else column[first:end]
