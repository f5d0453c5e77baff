"""Columns of many rows and few values: each value once, and for each row which one it is."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import numpy


class Coded:
    """``distinct[codes[row]]`` is the value of a row. Every distinct value is there in at least one row of the table
    that the column was made for (not of each ``part`` of it)."""

    def __init__(self, distinct: List[Any], codes: Any, made: Optional[Dict[Any, Any]] = None) -> None:
        self.distinct, self.codes = distinct, codes
        # What steps have made of the distinct values, for all parts of the table.
        self._made: Dict[Any, Any] = {} if made is None else made

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, first: int, end: int) -> Coded:
        return Coded(self.distinct, self.codes[first:end], self._made)

    def mapped(self, step: Any, function: Callable[[List[Any]], List[Any]]) -> Coded:
        """The column with other distinct values; ``step`` (hashable) always stands for the same function."""
        distinct, made = self.once(step, lambda values: (function(values), {}))
        return Coded(distinct, self.codes, made)

    def once(self, step: Any, function: Callable[[List[Any]], Any]) -> Any:
        """What the function makes of the distinct values."""
        if step not in self._made:
            self._made[step] = function(self.distinct)
        return self._made[step]


def coded(values: Any) -> Coded:
    """Of an array of numbers or truths."""
    distinct, codes = numpy.unique(values, return_inverse=True)
    return Coded(distinct.tolist(), codes)


def used(distinct: List[Any], codes: Any) -> Coded:
    """Without the values that no row has."""
    there = numpy.flatnonzero(numpy.bincount(codes, minlength=len(distinct)))
    if len(there) == len(distinct):
        return Coded(distinct, codes)
    places = numpy.zeros(len(distinct), dtype=numpy.intp)
    places[there] = numpy.arange(len(there))
    return Coded([distinct[place] for place in there], places[codes])
