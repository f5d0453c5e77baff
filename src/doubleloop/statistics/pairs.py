"""Two tables compared a few columns at a time, so that memory holds columns and not tables.

As Azure has it, a row with a missing value in any of the features is left out. Which rows those are has to be known
before the first column is judged. Nulls are known beforehand (a Parquet file counts them); where a column turns out to
hold NaN besides, everything begins again with every column of floats looked at first.
Memory that is used again costs less than new memory: floats are written to where they are sorted, column after column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import polars as pl
import pyarrow as pa
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

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """A column of floats, or of texts that are held as numbers of labels, some rows after the other."""


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

    def pieces(self, name: str) -> Iterator[pa.Array]:
        return columns.pieces(self.frame[name])


def source(data: Table) -> Source:
    """Raises InvalidInput for ragged columns and doubled names."""
    return data if isinstance(data, Source) else Held(columns.table(data))


class _Unforeseen(Exception):
    """A column holds NaN in rows that were not left out."""


class _Walked:
    """One of the two tables, while its columns are gone through. ``without``: numbers of the rows to leave out."""

    def __init__(self, origin: Source) -> None:
        self.origin = origin
        self.without = columns.NO_ROWS
        self._space, self._in_space = np.empty(origin.height), ""
        self._held: dict[str, pl.Series] = {}
        self.kept: dict[str, columns.Floats] = {}

    def leave_out(self, names: Sequence[str], thorough: bool) -> None:
        """The rows in which any of ``names`` is missing."""
        missing = np.zeros(self.origin.height, dtype=np.bool_)
        for name in names:
            if self.origin.missing(name) or (thorough and self.origin.schema[name].is_float()):
                missing |= self._holes(name)
        self.without = np.flatnonzero(missing)

    def _holes(self, name: str) -> NDArray[np.bool_]:
        if not self.origin.schema[name].is_float():
            return self.origin.read([name])[name].is_null().to_numpy()
        if (len(self.kept) + 1) * self.origin.height <= _CELLS_KEPT:
            self.kept[name] = np.empty(self.origin.height)
        space = self.kept.get(name, self._space)
        columns.fill(space, self._pieces(name))
        return np.isnan(space)

    def _pieces(self, name: str) -> Iterator[pa.Array]:
        return columns.pieces(self._held[name]) if name in self._held else self.origin.pieces(name)

    def hold(self, names: Sequence[str]) -> None:
        """Reads columns together, and forgets those before. One alone is read when it is asked for."""
        there = [name for name in names if name in self.origin.schema]
        together = len(names) > 1 or isinstance(self.origin, Held)
        self._held = dict(zip(there, self.origin.read(there), strict=True)) if together else {}

    def column(self, name: str) -> pl.Series:
        """Missing in every row where there is no such column."""
        if name not in self.origin.schema:
            return pl.repeat(None, self.origin.height, dtype=pl.Null, eager=True).alias(name)
        if name not in self._held:
            self._held[name] = self.origin.read([name])[name]
        return self._held[name]

    def kind(self, name: str, override: schema.Kind | str | None) -> schema.Kind:
        """How to judge a column: only of integers are the values looked at."""
        type_ = self.origin.schema[name]
        whole = schema.type_of(type_) is schema.Type.INTEGER
        return schema.kind_of(self.column(name) if whole else pl.Series(name, dtype=type_), override)

    def missing(self, name: str) -> int:
        """How many values are null or NaN."""
        if name not in self.origin.schema:
            return self.origin.height
        if not self._is_float(name):
            return self.origin.missing(name)
        return int(np.count_nonzero(np.isnan(self._filled(name))))

    def side(self, name: str, kind: schema.Kind) -> samples.Side:
        found = self._side(name, kind)
        if self._is_float(name) and self.origin.height - len(found) > len(self.without):
            raise _Unforeseen
        return found

    def _side(self, name: str, kind: schema.Kind) -> samples.Side:
        if self.origin.schema[name] in columns.LABELLED and name not in self._held:
            return samples.Labels(columns.counts_of_pieces(self.origin.pieces(name), self.without))
        if kind is schema.Kind.CATEGORICAL or not self._is_float(name):
            self._in_space = ""
            return samples.of(self.column(name), kind, self.without, self._space)
        space, self._in_space = self._filled(name), ""
        return samples.Numbers(columns.sort(space, self.without))

    def _is_float(self, name: str) -> bool:
        return name in self.origin.schema and self.origin.schema[name].is_float()

    def _filled(self, name: str) -> columns.Floats:
        """Where the values are sorted, with those of a column of floats in it."""
        if name in self.kept:
            self._space = self.kept.pop(name)
        elif self._in_space != name:
            columns.fill(self._space, self._pieces(name))
        self._in_space = name
        return self._space


@dataclass(frozen=True)
class Pair:
    """One column on both sides. ``reason`` says why its values cannot be compared, "" when they can; ``after`` is
    missing in every row where the current table has no such column."""

    name: str
    kind: schema.Kind
    reason: str
    tables: tuple[_Walked, _Walked] = field(repr=False)

    @property
    def before(self) -> pl.Series:
        return self.tables[0].column(self.name)

    @property
    def after(self) -> pl.Series:
        return self.tables[1].column(self.name)

    @property
    def rows(self) -> tuple[int, int]:
        return self.tables[0].origin.height, self.tables[1].origin.height

    @property
    def missing(self) -> tuple[int, int]:
        """How many values are null or NaN. To be asked before ``sides``, or floats are read once more."""
        return self.tables[0].missing(self.name), self.tables[1].missing(self.name)

    @cached_property
    def sides(self) -> tuple[samples.Side, samples.Side]:
        """As they are judged. Only where there is no ``reason``."""
        return self.tables[0].side(self.name, self.kind), self.tables[1].side(self.name, self.kind)


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
        found = dict(_walk(reference, current, names, overrides, take, thorough=False))
    except _Unforeseen:
        found = dict(_walk(reference, current, names, overrides, take, thorough=True))
    return [found[name] for name in names]


def _walk(
    reference: Source, current: Source, names: Sequence[str], overrides: Mapping[str, schema.Kind | str],
    take: Callable[[Pair], Taken], *, thorough: bool,
) -> Iterator[tuple[str, Taken]]:  # fmt: skip
    reasons = {name: _not_comparable(name, reference, current, thorough) for name in names}
    tables = _Walked(reference), _Walked(current)
    for table in tables:
        table.leave_out([name for name in names if not reasons[name]], thorough)
    # What was kept comes first, so that its memory is there for the others.
    ordered = sorted(names, key=lambda name: not any(name in table.kept for table in tables))
    for some in _batches(ordered, max(reference.height, current.height)):
        for table in tables:
            table.hold(some)
        for name in some:
            yield name, take(Pair(name, tables[0].kind(name, overrides.get(name)), reasons[name], tables))


def _batches(names: Sequence[str], rows: int) -> Iterator[Sequence[str]]:
    step = max(_CELLS // max(rows, 1), 1)
    for start in range(0, len(names), step):
        yield names[start : start + step]


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
