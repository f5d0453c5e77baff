"""Columns of many rows and few values: each value once, and for each row which one it is."""

from __future__ import annotations

from typing import Any, List

import numpy


class Coded:
    """``distinct[codes[row]]`` is the value of a row. Every distinct value is there in at least one row of the table
    that the column was made for (not of each ``part`` of it)."""

    def __init__(self, distinct: List[Any], codes: Any) -> None:
        self.distinct, self.codes = distinct, codes

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, first: int, end: int) -> Coded:
        return Coded(self.distinct, self.codes[first:end])


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
