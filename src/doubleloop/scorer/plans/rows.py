"""A few rows through a plan: its matrix is filled value by value, as a whole column at a time costs more to begin."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy

from . import columns, encoding, numbers
from .steps import Chain, OutOfPlan, Step

# From here on whole columns are quicker.
MANY = 8

NAN = float("nan")
_MISSING = object()


class Rows:
    """``run`` as the chain's own. Raises what it raises."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._filler = _filler(chain)
        self._rest = chain.steps[self._filler.steps :] if self._filler is not None else []

    def run(self, data: List[Any]) -> Any:
        filler = self._filler
        if filler is None:
            return self._chain.run(data)
        try:
            matrix = filler.fill(data)
        except Exception:  # what is wrong is for the chain to say
            matrix = None
        if matrix is None:
            return self._chain.run(data)
        for step in self._rest:
            matrix = step.run(matrix)
        return matrix


class _Filler:
    """``steps``: how many of a chain's it stands for. ``numbers``: place in the request, place in the matrix, what is
    put for a missing value, what is taken away and what it is divided by; ``rounded``: the same, of 32 bits first.
    ``flags``: place, column, what stands there for a value that is there and for one that is not.
    ``marks``: place, for each value the column that is 1, that of any other. ``codes``: place, column, for each value
    the number, that for any other. ``texts``: places of texts, whose missing values are one thing alone and another
    beside others.
    """

    def __init__(self, width: int, narrow: bool, steps: int) -> None:
        self.steps = steps
        self.numbers: List[Tuple[int, int, float, float, float]] = []
        self.rounded: List[Tuple[int, int, float, float, float]] = []
        self.flags: List[Tuple[int, int, float, float]] = []
        self.marks: List[Tuple[int, Dict[Any, int], Any]] = []
        self.codes: List[Tuple[int, int, Dict[Any, float], Any]] = []
        self.texts: List[int] = []
        self._width = width
        self._dtype: Any = numpy.float32 if narrow else numpy.float64
        self._letter: Any = "f" if narrow else "d"

    def fill(self, data: List[Any]) -> Any:
        """The matrix; None for rows that are the chain's."""
        rows = len(data[0])
        if rows != 1 and (rows > MANY or not rows or any(None in data[place] for place in self.texts)):
            return None
        matrix = numpy.zeros((rows, self._width), self._dtype)
        out = matrix.data.cast("B").cast(self._letter)
        for row in range(rows):
            self._row(data, row, out, row * self._width)
        return matrix

    def _row(self, data: List[Any], row: int, out: Any, start: int) -> None:
        for place, at, fill, less, over in self.numbers:
            value = data[place][row]
            if value is None or value != value:
                value = fill
            out[start + at] = (value - less) / over
        for place, at, fill, less, over in self.rounded:
            value = data[place][row]
            if value is None or value != value:
                value = fill
            else:
                value = float(numpy.float32(value))
            out[start + at] = (value - less) / over
        for place, at, there, missing in self.flags:
            value = data[place][row]
            out[start + at] = missing if value is None or value != value else there
        for place, marks, other in self.marks:
            at = marks.get(data[place][row], other)
            if at >= 0:
                out[start + at] = 1.0
        for place, at, codes, other in self.codes:
            out[start + at] = codes.get(data[place][row], other)


def _filler(chain: Chain) -> Optional[_Filler]:
    """None where a step is none of those that are known here."""
    first = chain.steps[0]
    if isinstance(first, columns.Beside):
        parts, narrow, steps = [part.steps for part in first.parts], first.narrow and len(first.parts) > 1, 1
    else:
        steps = next((n for n, step in enumerate(chain.steps) if not isinstance(step, _FIRST)), len(chain.steps))
        if not steps:
            return None
        parts, narrow = [chain.steps[:steps]], False
    widths = [_width(part) for part in parts]
    if None in widths:
        return None
    filler, start = _Filler(sum(widths), narrow, steps), 0  # type: ignore[arg-type]
    for part, width in zip(parts, widths):
        add = _numbers if isinstance(part[0], columns.Matrix) else _categories
        if not add(filler, part, start):
            return None
        start += width  # type: ignore[operator]
    return filler


def _width(part: List[Step]) -> Optional[int]:
    if isinstance(part[0], columns.Matrix):
        imputed = part[1] if len(part) > 1 else None
        flags = imputed.indicated if isinstance(imputed, numbers.Imputed) else None
        return len(part[0].positions) + (0 if flags is None else len(flags))
    widths = [step.width for step in part if isinstance(step, (encoding.OneHot, encoding.Ordinal))]
    return widths[0] if widths else None


def _numbers(filler: _Filler, part: List[Step], start: int) -> bool:
    source, *then = part
    assert isinstance(source, columns.Matrix)
    count = len(source.positions)
    flags: List[int] = []
    fills, less, over = [NAN] * count, [0.0] * (2 * count), [1.0] * (2 * count)
    for number, step in enumerate(then):
        if isinstance(step, numbers.Same):
            continue
        if isinstance(step, numbers.Imputed) and number == 0:
            fills = step.filled.tolist()
            flags = [] if step.indicated is None else step.indicated.tolist()
        elif isinstance(step, numbers.Scaled) and step is then[-1] and step.shifts:
            less = less if step.less is None else step.less.tolist()
            over = over if step.over is None else step.over.tolist()
        else:
            return False
    for number, (place, fill) in enumerate(zip(source.positions, fills)):
        into = filler.rounded if number in source.narrow else filler.numbers
        into.append((place, start + number, fill, less[number], over[number]))
    for number, flag in enumerate(flags, start=count):
        there, missing = ((each - less[number]) / over[number] for each in (0.0, 1.0))
        filler.flags.append((source.positions[flag], start + number, there, missing))
    return True


def _categories(filler: _Filler, part: List[Step], start: int) -> bool:
    source, *filled, encoder = part
    assert isinstance(source, columns.Values)
    if not all(isinstance(step, encoding.Filled) for step in filled):
        return False
    for number, (place, text) in enumerate(zip(source.positions, source.texts)):
        missing = source.alone if text else NAN
        for step in filled:
            missing = step.value(number, missing)  # type: ignore[attr-defined]
        if text:
            filler.texts.append(place)
        if isinstance(encoder, encoding.OneHot):
            filler.marks.append((place, *_looked_up(encoder.mark, number, encoder.columns[number], missing, start)))
        elif isinstance(encoder, encoding.Ordinal):
            codes, other = _looked_up(encoder.code, number, encoder.columns[number], missing, 0)
            filler.codes.append((place, start + number, codes, other))
        else:
            return False
    return True


def _looked_up(
    find: Callable[[int, Any], Any], number: int, known: Dict[Any, Any], missing: Any, start: int
) -> Tuple[Dict[Any, Any], Any]:
    """What the encoder makes of each value that it knows and of a missing one, and of any other (None: it is the
    model's to refuse)."""
    other = _found(find, number, _MISSING)
    table = {key: _moved(value, start) for key, value in known.items() if not isinstance(key, tuple)}
    table[None] = _moved(_found(find, number, missing), start)
    return table, _moved(other, start)


def _moved(place: Any, start: int) -> Any:
    return place + start if start and place is not None and place >= 0 else place


def _found(find: Callable[[int, Any], Any], number: int, value: Any) -> Any:
    try:
        return find(number, value)
    except OutOfPlan:
        return None


_FIRST = (columns.Matrix, columns.Values, encoding.Filled, encoding.OneHot, encoding.Ordinal, numbers.Imputed,
          numbers.Scaled, numbers.Same)  # fmt: skip
