"""Two tables compared a few columns at a time, so that memory holds columns and not tables.

As Azure has it, a row with a missing value in any of the features is left out. Which rows those are has to be known
before the first column is judged. Nulls are known beforehand (a Parquet file counts them); where a column turns out to
hold NaN besides, everything begins again with every column of floats looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.statistics import columns, samples, schema

_CELLS = 1_000_000  # read at once; a column of more rows is read alone
_CELLS_KEPT = 8_000_000
Taken = TypeVar("Taken")


@runtime_checkable
class Source(Protocol):
    """A table that reads the columns it is asked for."""

    @property
    def height(self) -> int: ...

    @property
    def schema(self) -> Mapping[str, pl.DataType]: ...

    def missing(self, name: str) -> int:
        """How many values of a column are null, as is known without reading them."""

    def read(self, names: Sequence[str]) -> pl.DataFrame: ...


Table = columns.Table | Source


@dataclass(frozen=True)
class Held:
    """A table that is in memory."""

    frame: pl.DataFrame
    _missing: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def height(self) -> int:
        return self.frame.height

    @cached_property
    def schema(self) -> Mapping[str, pl.DataType]:
        return self.frame.schema

    def missing(self, name: str) -> int:
        """NaN included, so that nothing has to begin again."""
        if name not in self._missing:
            self._missing[name] = columns.missing(self.frame[name])
        return self._missing[name]

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        return self.frame.select(names)


def source(data: Table) -> Source:
    """Raises InvalidInput for ragged columns and doubled names."""
    return data if isinstance(data, Source) else Held(columns.table(data))


@dataclass(frozen=True)
class Pair:
    """One column on both sides. ``reason`` says why its values cannot be compared, "" when they can; ``after`` is
    missing in every row where the current table has no such column. ``without``: numbers of the rows to leave out, a
    side each; ``space`` is what its values are sorted in."""

    name: str
    kind: schema.Kind
    before: pl.Series
    after: pl.Series
    reason: str
    without: tuple[samples.Rows, samples.Rows]
    space: tuple[columns.Floats, columns.Floats]

    @cached_property
    def sides(self) -> tuple[samples.Side, samples.Side]:
        """As they are judged. Only where there is no ``reason``."""
        return self._side(self.before, 0), self._side(self.after, 1)

    def _side(self, column: pl.Series, side: int) -> samples.Side:
        without = self.without[side]
        found = samples.of(column, self.kind, without, self.space[side])
        if column.dtype.is_float() and len(column) - len(found) > len(without):
            raise _Unforeseen
        return found


class _Kept:
    """A source that remembers the columns with holes which it has read, up to ``_CELLS_KEPT`` values of them: they
    are read twice, for their holes and for their values."""

    def __init__(self, origin: Source) -> None:
        self.height, self.schema, self.missing = origin.height, origin.schema, origin.missing
        self._origin = origin
        self._kept: dict[str, pl.Series] = {}

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Each column from what was kept, which is then forgotten."""
        others = [name for name in names if name not in self._kept]
        found = self._origin.read(others) if others else pl.DataFrame()
        return pl.DataFrame([found[name] if name in others else self._kept.pop(name) for name in names])

    def holes(self, name: str) -> pl.Series:
        """A column whose holes are asked for."""
        found = self._origin.read([name])[name]
        if (len(self._kept) + 1) * self.height <= _CELLS_KEPT:
            self._kept[name] = found
        return found


class _Unforeseen(Exception):
    """A column holds NaN in rows that were not left out."""


def compare(
    reference: Source,
    current: Source,
    names: Sequence[str],
    overrides: Mapping[str, schema.Kind | str],
    take: Callable[[Pair], Taken],
) -> list[Taken]:
    """What ``take`` makes of every pair, in the order of ``names``. It can be asked twice about a pair, and is not to
    keep its columns and sides: the next pair is written over them."""
    try:
        return list(_walk(reference, current, names, overrides, take, thorough=False))
    except _Unforeseen:
        return list(_walk(reference, current, names, overrides, take, thorough=True))


def _walk(
    one: Source, two: Source, names: Sequence[str], overrides: Mapping[str, schema.Kind | str],
    take: Callable[[Pair], Taken], *, thorough: bool,
) -> Iterator[Taken]:  # fmt: skip
    reference, current = _Kept(one), _Kept(two)
    reasons = {name: _not_comparable(name, reference, current, thorough) for name in names}
    usable = [name for name in names if not reasons[name]]
    without = _incomplete(reference, usable, thorough), _incomplete(current, usable, thorough)
    space = np.empty(reference.height), np.empty(current.height)
    for some in _batches(names, max(reference.height, current.height)):
        before, after = reference.read(some), current.read([name for name in some if name in current.schema])
        for name in some:
            kind = schema.kind_of(before[name], overrides.get(name))
            there = after[name] if name in current.schema else _absent(name, current.height)
            yield take(Pair(name, kind, before[name], there, reasons[name], without, space))


def _absent(name: str, rows: int) -> pl.Series:
    return pl.repeat(None, rows, dtype=pl.Null, eager=True).alias(name)


def _batches(names: Sequence[str], rows: int) -> Iterator[Sequence[str]]:
    step = max(_CELLS // max(rows, 1), 1)
    for start in range(0, len(names), step):
        yield names[start : start + step]


def _incomplete(side: _Kept, names: Sequence[str], thorough: bool) -> NDArray[np.int64]:
    """The numbers of the rows in which any of ``names`` is missing."""
    holed = [name for name in names if side.missing(name) or (thorough and side.schema[name].is_float())]
    missing = np.zeros(side.height, dtype=np.bool_)
    for name in holed:
        column = side.holes(name)
        if column.null_count():
            missing |= column.is_null().to_numpy()
        if column.dtype.is_float() and (thorough or side.missing(name) > column.null_count()):
            _mark_nan(missing, column)
    return np.flatnonzero(missing)


def _mark_nan(missing: NDArray[np.bool_], column: pl.Series) -> None:
    start = 0
    for part in column.get_chunks():
        missing[start : start + len(part)] |= np.isnan(part.to_numpy())  # nulls have become NaN
        start += len(part)


def _not_comparable(name: str, before: Source, after: Source, thorough: bool) -> str:
    if name not in after.schema:
        return "the current data has no such column"
    one, two = schema.type_of(before.schema[name]), schema.type_of(after.schema[name])
    for what, side in (("reference", before), ("current", after)):
        if not _holds_values(side, name, thorough):
            return f"the {what} column holds no values"
    if schema.Type.UNSUPPORTED in (one, two):
        return "the column holds values that are neither numbers nor categories"
    if not schema.comparable(one, two):
        return f"the reference holds {one} and the current data {two}"
    return ""


def _holds_values(side: Source, name: str, thorough: bool) -> bool:
    if thorough and side.schema[name].is_float():
        return columns.holds_values(side.read([name])[name])
    return side.missing(name) < side.height
