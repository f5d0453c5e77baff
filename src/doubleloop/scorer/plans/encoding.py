"""Categories to numbers, by a look-up that was made when the plan was."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

import math
from typing import Any, Dict, List

import numpy

from .coded import Coded
from .steps import NotPlanned, OutOfPlan, Step

UNKNOWN = "unknown to the encoder"


def _key(value: Any) -> Any:
    """NaN is equal to nothing, not even to itself: it needs a key of its own."""
    return _NAN if isinstance(value, float) and math.isnan(value) else value


_NAN = ("nan",)


def _numbered(categories: Any) -> Dict[Any, int]:
    return {_key(value): number for number, value in enumerate(categories.tolist())}


class Filled(Step):
    """``SimpleImputer`` on columns of values: what stands for a missing one, per column.

    As the imputer itself, it does not take None for NaN, nor NaN for None.
    """

    def __init__(self, missing: Any, fills: List[Any]) -> None:
        if missing is not None and not (isinstance(missing, float) and math.isnan(missing)):
            raise NotPlanned("SimpleImputer of another missing value than NaN or None")
        self._none = missing is None
        self._fills = fills

    def run(self, data: List[Any]) -> List[Any]:
        return [self._column(column, place, fill) for place, (column, fill) in enumerate(zip(data, self._fills))]

    def _column(self, column: Any, place: int, fill: Any) -> Any:
        if isinstance(column, Coded):
            return column.mapped((self, place), lambda distinct: self._column(distinct, place, fill))
        if self._none:
            return [fill if v is None else v for v in column]
        return [fill if v != v else v for v in column]

    def value(self, place: int, value: Any) -> Any:
        """One value of the column at the place."""
        return self._column([value], place, self._fills[place])[0]


class OneHot(Step):
    """``OneHotEncoder`` without infrequent categories, dense."""

    def __init__(self, encoder: Any) -> None:
        if getattr(encoder, "_infrequent_enabled", False):
            raise NotPlanned("OneHotEncoder with infrequent categories")
        self._ignores = encoder.handle_unknown in ("ignore", "infrequent_if_exist", "warn")
        dropped = getattr(encoder, "drop_idx_", None)
        self.columns = []
        start = 0
        for number, categories in enumerate(encoder.categories_):
            drop = None if dropped is None else dropped[number]
            places: Dict[Any, int] = {}
            for key, place in _numbered(categories).items():
                shift = 0 if drop is None else int(place > drop)
                places[key] = -1 if drop is not None and place == drop else start + place - shift
            self.columns.append(places)
            start += len(categories) - (drop is not None)
        self.width = start

    def run(self, data: List[Any]) -> Any:
        out = numpy.zeros((len(data[0]) if data else 0, self.width))
        self.fill(data, out)
        return out

    def fill(self, data: List[Any], out: Any) -> None:
        for number, (places, column) in enumerate(zip(self.columns, data)):
            if isinstance(column, Coded):
                found, marks = self._tables(column, number)
                _spread(found, marks, column.codes, out)
                continue
            for row, value in enumerate(column):
                place = self._place(places, value)
                if place >= 0:
                    out[row, place] = 1.0

    def _tables(self, column: Coded, number: int) -> Any:
        """Of each distinct value: the column of the answer, and what stands there (0 in any for none)."""

        def made(distinct: List[Any]) -> Any:
            found = numpy.array([self._place(self.columns[number], value) for value in distinct], dtype=numpy.intp)
            return numpy.maximum(found, 0), (found >= 0).astype(numpy.float32)

        return column.once((self, number), made)

    def mark(self, number: int, value: Any) -> int:
        """``_place`` in the column of that number."""
        return self._place(self.columns[number], value)

    def _place(self, places: Dict[Any, int], value: Any) -> int:
        """Which column of the answer is 1 for the value; -1 for none."""
        place = places.get(value)
        if place is None:
            place = places.get(_key(value))
            if place is None:
                if not self._ignores:
                    raise OutOfPlan(UNKNOWN)
                return -1
        return place


def _spread(places: Any, marks: Any, codes: Any, out: Any) -> None:
    """``marks[codes[row]]`` in the column ``places[codes[row]]`` of each row, which is 0 yet."""
    rows = numpy.arange(len(codes))
    if out.flags.f_contiguous:
        out.T.reshape(-1)[places.take(codes) * len(codes) + rows] = marks.take(codes)
    else:
        out[rows, places.take(codes)] = marks.take(codes)


class Ordinal(Step):
    """``OrdinalEncoder`` without infrequent categories."""

    def __init__(self, encoder: Any) -> None:
        if getattr(encoder, "_infrequent_enabled", False):
            raise NotPlanned("OrdinalEncoder with infrequent categories")
        self._unknown = float(encoder.unknown_value) if encoder.handle_unknown == "use_encoded_value" else None
        missing = float(getattr(encoder, "encoded_missing_value", float("nan")))
        self.columns = []
        for categories in encoder.categories_:
            numbers: Dict[Any, float] = {key: float(place) for key, place in _numbered(categories).items()}
            for key in (None, _NAN):
                if key in numbers:
                    numbers[key] = missing
            self.columns.append(numbers)
        self.width = len(self.columns)

    def run(self, data: List[Any]) -> Any:
        out = numpy.empty((len(data[0]) if data else 0, self.width))
        for position, (numbers, column) in enumerate(zip(self.columns, data)):
            if isinstance(column, Coded):
                out[:, position] = self._table(column, position).take(column.codes)
            else:
                out[:, position] = [self._number(numbers, value) for value in column]
        return out

    def _table(self, column: Coded, position: int) -> Any:
        """The number of each distinct value."""

        def made(distinct: List[Any]) -> Any:
            return numpy.array([self._number(self.columns[position], value) for value in distinct], numpy.float64)

        return column.once((self, position), made)

    def code(self, number: int, value: Any) -> float:
        """What stands for a value of the column of that number. Raises OutOfPlan."""
        return self._number(self.columns[number], value)

    def _number(self, numbers: Dict[Any, float], value: Any) -> float:
        number = numbers.get(_key(value), self._unknown)
        if number is None:
            raise OutOfPlan(UNKNOWN)
        return number
