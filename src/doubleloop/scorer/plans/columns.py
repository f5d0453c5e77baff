"""Which columns go where: from the lists of a request to matrices, and the parts of a ColumnTransformer."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy

from .coded import Coded, coded
from .steps import Chain, NotPlanned, OutOfPlan, Step

# As in ``frames``: what a column of each type of a signature is in the frame that the model was given. In the plan all
# of them are float64, as scikit-learn makes them when columns of several types become one matrix.
NAN = float("nan")
MANY_ROWS = 64
NUMBERS = ("double", "float", "long", "integer", "boolean")


class Matrix(Step):
    """Columns of numbers, as one float64 matrix; a missing value is NaN.

    Raises OutOfPlan for a column that was left out, and NotPlanned for a type that is no number. ``float`` columns are
    rounded to 32 bits first, as they are in the frame.
    """

    def __init__(self, positions: Sequence[int], types: Sequence[str]) -> None:
        self.positions = list(positions)
        wrong = [types[each] for each in self.positions if types[each] not in NUMBERS]
        if wrong:
            raise NotPlanned("a column of type %s is used as a number" % wrong[0])
        if all(types[each] == "float" for each in self.positions):
            raise NotPlanned("columns of 32 bits alone, which scikit-learn reckons with in 32 bits")
        self.narrow = [n for n, each in enumerate(self.positions) if types[each] == "float"]
        self._all = self.positions == list(range(len(types)))

    def run(self, data: List[Any]) -> Any:
        chosen = data if self._all else [data[each] for each in self.positions]
        if any(each is None for each in chosen):
            raise OutOfPlan("an optional column was left out")
        matrix = numpy.array(chosen, dtype=numpy.float64).T  # None becomes NaN
        for column in self.narrow:
            matrix[:, column] = matrix[:, column].astype(numpy.float32)
        return matrix


class Values(Step):
    """Columns of values as they are: texts, or numbers that stand for categories.

    A missing text becomes what pandas makes of it in the frame: one thing beside other texts, another alone.
    """

    def __init__(self, positions: Sequence[int], types: Sequence[str]) -> None:
        self.positions = list(positions)
        wrong = [types[each] for each in self.positions if types[each] not in (*NUMBERS, "string")]
        if wrong:
            raise NotPlanned("a column of type %s is used as a category" % wrong[0])
        self.texts = [types[each] == "string" for each in self.positions]
        import pandas  # which a process that has a plan from a file does without

        self.beside, self.alone = (pandas.Series(values).tolist()[0] for values in ([None, "a"], [None, None]))

    def run(self, data: List[Any]) -> List[Any]:
        return [self._column(data[place], place, text) for place, text in zip(self.positions, self.texts)]

    def _column(self, values: Any, place: int, text: bool) -> Any:
        if values is None:
            raise OutOfPlan("an optional column was left out")
        if isinstance(values, numpy.ndarray):
            return coded(values)
        if isinstance(values, Coded):
            return values.mapped((self, place), lambda distinct: self._column(distinct, place, text))
        if None not in values:
            return list(values)
        if not text:
            return [NAN if value is None else value for value in values]
        missing = self.beside if any(value is not None for value in values) else self.alone
        return [missing if value is None else value for value in values]


class Beside(Step):
    """The parts of a ColumnTransformer, each with the steps behind it, and what they give side by side.

    ``narrow``: in 32 bits, for an estimator that takes no more. ``columnwise``: of many rows, each column in one piece.
    """

    def __init__(self, parts: List[Tuple[Step, List[Step]]]) -> None:
        self.parts = [Chain([first, *then]) for first, then in parts]
        self._ends: List[int] = []
        self.narrow = self.columnwise = False

    def run(self, data: Any) -> Any:
        if len(self.parts) == 1:
            return self.parts[0].run(data)
        if not self._ends:
            found = [part.run(data) for part in self.parts]
            self._ends = numpy.cumsum([each.shape[1] for each in found]).tolist()
            return numpy.concatenate(found, axis=1)
        rows = next(len(column) for column in data if column is not None)
        shape, dtype = (rows, self._ends[-1]), numpy.float32 if self.narrow else numpy.float64
        wide = self.columnwise and rows >= MANY_ROWS
        out = numpy.zeros(shape[::-1], dtype).T if wide else numpy.zeros(shape, dtype)
        for part, first, end in zip(self.parts, [0, *self._ends], self._ends):
            part.fill(data, out[:, first:end])
        return out
