"""Profiles as bytes beside their JSON: counts on the reference's own bins and labels, so that thousands add up as
arrays. A packed profile means something only with the reference it was made against, whose digest it carries.

Layout, little-endian. 8 bytes of name and version, 16 of the digest. Then int64: rows, values of all sketches, length
of the tail; per column rows, nulls, type errors, outside (-1: not known); per numerical column the counts of its bins
with two places on each side, the count of its moments, the length of its sketch; per categorical column its total,
whether it is complete, the counts of the reference's labels. Then float64: per numerical column mean, sum of squared
deviations, smallest, largest (NaN: none). Then uint16: per numerical column how many values of its sketch lie on each
of 40 levels. Then float64: per numerical column the values of its sketch; and the tail, JSON of the counts of labels
that the reference does not have.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import canonical, errors
from doubleloop.statistics import profiles, quantiles, sketches

_NAME = b"DLprof\x00\x02"
_DIGEST = 16
_FIRST = len(_NAME) + _DIGEST
_LEVELS = 40  # two hundred times 2**40 values
_NUMBERS = 4  # of a column, and of the moments and range of a numerical one
_OUTER = ("minus_infinity", "below", "above", "plus_infinity")
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where everything is in a packed profile of ``reference``."""

    reference: profiles.TableProfile

    @cached_property
    def numerical(self) -> list[profiles.ColumnProfile]:
        return [column for column in self.reference.columns.values() if column.histogram is not None]

    @cached_property
    def categorical(self) -> list[tuple[profiles.ColumnProfile, sketches.Categories, list[str]]]:
        return [
            (column, column.categories, list(column.categories.counts))
            for column in self.reference.columns.values()
            if column.categories is not None
        ]

    @cached_property
    def head(self) -> bytes:
        said = [
            [column.name, column.type.value, column.kind.value, column.histogram and list(column.histogram.edges),
             column.categories and [column.categories.limit, list(column.categories.counts)]]
            for column in self.reference.columns.values()
        ]  # fmt: skip
        return _NAME + hashlib.blake2b(canonical.dumps(said).encode(), digest_size=_DIGEST).digest()

    @property
    def digest(self) -> str:
        """Of the reference's types, bins and labels, as hexadecimal digits."""
        return self.head[len(_NAME) :].hex()

    @cached_property
    def integers(self) -> int:
        bins = sum(len(column.histogram.counts) + 6 for column in self.numerical if column.histogram)
        labels = sum(len(labels) + 2 for _, _, labels in self.categorical)
        return 3 + _NUMBERS * len(self.reference.columns) + bins + labels

    @cached_property
    def fixed(self) -> int:
        """Bytes before the sketches."""
        return _FIRST + 8 * (self.integers + (_NUMBERS + _LEVELS // 4) * len(self.numerical))


def pack(profile: profiles.TableProfile, layout: Layout) -> bytes:
    """Raises InvalidInput for a profile of another reference."""
    _belongs(profile, layout)
    parts = [profile.columns[column.name].quantiles or quantiles.Quantiles.of(np.empty(0)) for column in
             layout.numerical]  # fmt: skip
    integers, tail = _integers(profile, layout, parts)
    written = json.dumps(tail, separators=(",", ":")).encode() if tail else b""
    integers[0], integers[1], integers[2] = profile.rows, sum(len(part.values) for part in parts), len(written)
    floats = [value for column in layout.numerical for value in _range(profile.columns[column.name])]
    return b"".join([
        layout.head, integers.tobytes(), np.array(floats, dtype=np.float64).tobytes(),
        *(_on_levels(part).tobytes() for part in parts), *(part.values.tobytes() for part in parts), written,
    ])  # fmt: skip


def merge(packed: Sequence[bytes], layout: Layout) -> profiles.TableProfile:
    """All of them as one profile, the same for any order. Raises InvalidInput for none, and for what is not packed by
    this layout."""
    if not packed:
        raise errors.InvalidInput(
            "there is no profile to merge", cure="Profile an empty table for a window of no rows."
        )
    if any(not each.startswith(layout.head) or len(each) < layout.fixed for each in packed):
        raise errors.InvalidInput("a packed profile belongs to another reference", cure="Profile the data again.")
    fixed = np.frombuffer(b"".join([each[_FIRST : layout.fixed] for each in packed]), dtype=np.int64)
    fixed = fixed.reshape(len(packed), -1)
    integers = fixed[:, : layout.integers]
    if any(
        kept < 0 or tail < 0 or len(each) != layout.fixed + 8 * kept + tail
        for each, kept, tail in zip(packed, integers[:, 1].tolist(), integers[:, 2].tolist(), strict=True)
    ):
        raise errors.InvalidInput("a packed profile is cut off", cure="Profile the data again.")
    return _Merge(packed, layout, integers, fixed[:, layout.integers :]).profile()


@dataclass(frozen=True)
class _Merge:
    packed: Sequence[bytes]
    layout: Layout
    integers: Integers
    rest: Integers  # the floats and the sketches' levels, as they lie

    @cached_property
    def floats(self) -> NDArray[np.float64]:
        return self.rest[:, : _NUMBERS * len(self.layout.numerical)].view(np.float64)

    @cached_property
    def on_levels(self) -> NDArray[np.uint16]:
        """Values of each sketch on each level. Shape ``(profiles, numerical columns, _LEVELS)``."""
        held = np.ascontiguousarray(self.rest[:, _NUMBERS * len(self.layout.numerical) :])
        return held.view(np.uint16).reshape(len(self.packed), len(self.layout.numerical), _LEVELS)

    def profile(self) -> profiles.TableProfile:
        totals = self.integers.sum(axis=0)
        unknown = np.any(self.integers[:, : 3 + _NUMBERS * len(self.layout.reference.columns)] < 0, axis=0)
        place, columns = 3, {}
        for name, known in self.layout.reference.columns.items():
            rows, nulls, type_errors, outside = (int(value) for value in totals[place : place + _NUMBERS])
            hidden = bool(unknown[place + _NUMBERS - 1])
            columns[name] = profiles.ColumnProfile(
                name, known.type, known.kind, rows, nulls, type_errors, None if hidden else outside
            )
            place += _NUMBERS
        place = self._numerical(columns, totals, place)
        self._categorical(columns, totals, place)
        return profiles.TableProfile(int(totals[0]), columns)

    def _numerical(self, found: dict[str, profiles.ColumnProfile], totals: Integers, place: int) -> int:
        pieces = self._sketches(place)
        for number, known in enumerate(self.layout.numerical):
            assert known.histogram is not None
            bins = len(known.histogram.counts)
            minus, below, *counts, above, plus = (int(count) for count in totals[place : place + bins + 4])
            means, deviations, lows, highs = self.floats[:, _NUMBERS * number : _NUMBERS * (number + 1)].T
            found[known.name] = dataclasses.replace(
                found[known.name],
                minimum=_end(np.fmin, lows),
                maximum=_end(np.fmax, highs),
                moments=sketches.Moments.merged(
                    self.integers[:, place + bins + 4].astype(np.float64), means, deviations
                ),
                histogram=sketches.Histogram(known.histogram.edges, tuple(counts), below, above, minus, plus),
                quantiles=quantiles.of_items(*pieces[number]),
            )
            place += bins + 6
        return place

    def _sketches(self, place: int) -> list[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
        """Values and levels of each numerical column, of all profiles."""
        at = []
        for known in self.layout.numerical:
            assert known.histogram is not None
            place += len(known.histogram.counts) + 6
            at.append(place - 1)
        lengths = self.integers[:, at]
        ends = self.layout.fixed + 8 * np.cumsum(lengths, axis=1)
        names = np.tile(np.arange(_LEVELS, dtype=np.uint8), len(self.packed))
        found = []
        for column in range(len(at)):
            spans = zip(self.packed, (ends - 8 * lengths)[:, column].tolist(), ends[:, column].tolist(), strict=True)
            values = b"".join([each[start:end] for each, start, end in spans])
            levels = np.repeat(names, self.on_levels[:, column].ravel())
            found.append((np.frombuffer(values, dtype=np.float64), levels))
        return found

    def _categorical(self, found: dict[str, profiles.ColumnProfile], totals: Integers, place: int) -> None:
        tails = self._tails()
        for known, categories, labels in self.layout.categorical:
            total, complete = int(totals[place]), bool(self.integers[:, place + 1].all())
            counts = totals[place + 2 : place + 2 + len(labels)].tolist()
            tally = {label: count for label, count in zip(labels, counts, strict=True) if count}
            for label, count in tails.get(known.name, {}).items():
                tally[label] = tally.get(label, 0) + count
            kept = sketches.Categories.bounded(tally, categories.limit, total, complete)
            found[known.name] = dataclasses.replace(found[known.name], categories=kept)
            place += 2 + len(labels)

    def _tails(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for which in np.flatnonzero(self.integers[:, 2]).tolist():
            for name, counts in json.loads(self.packed[which][-int(self.integers[which, 2]) :]).items():
                tally = found.setdefault(name, {})
                for label, count in counts.items():
                    tally[label] = tally.get(label, 0) + count
        return found


def _integers(
    profile: profiles.TableProfile, layout: Layout, parts: Sequence[quantiles.Quantiles]
) -> tuple[Integers, dict[str, dict[str, int]]]:
    found, tail = [0, 0, 0], {}
    for name in layout.reference.columns:
        column = profile.columns[name]
        outside = -1 if column.outside is None else column.outside
        found += [column.rows, column.nulls, column.type_errors, outside]
    for known, part in zip(layout.numerical, parts, strict=True):
        held = profile.columns[known.name]
        assert held.histogram is not None and held.moments is not None
        minus, below, above, plus = (getattr(held.histogram, name) for name in _OUTER)
        found += [minus, below, *held.histogram.counts, above, plus, held.moments.count, len(part.values)]
    for known, _, labels in layout.categorical:
        categories = profile.columns[known.name].categories
        assert categories is not None
        found += [categories.total, int(categories.complete), *(categories.counts.get(label, 0) for label in labels)]
        unseen = {label: count for label, count in categories.counts.items() if label not in set(labels)}
        if unseen:
            tail[known.name] = unseen
    return np.array(found, dtype=np.int64), tail


def _on_levels(part: quantiles.Quantiles) -> NDArray[np.uint16]:
    return np.bincount(part.levels, minlength=_LEVELS).astype(np.uint16)


def _range(column: profiles.ColumnProfile) -> tuple[float, float, float, float]:
    assert column.moments is not None
    ends = (math.nan if end is None else end for end in (column.minimum, column.maximum))
    return (column.moments.mean, column.moments.deviations, *ends)  # type: ignore[return-value]


def _end(choose: np.ufunc, ends: NDArray[np.float64]) -> float | None:
    found = float(choose.reduce(ends))
    return None if math.isnan(found) else found


def _belongs(profile: profiles.TableProfile, layout: Layout) -> None:
    for name, known in layout.reference.columns.items():
        held = profile.columns.get(name)
        if held is None or _outline(held) != _outline(known):
            raise errors.InvalidInput(
                f"the profile of column '{name}' belongs to another reference", cure="Profile the data again."
            )


def _outline(column: profiles.ColumnProfile) -> tuple[object, ...]:
    edges, limit = column.histogram and column.histogram.edges, column.categories and column.categories.limit
    return column.type, column.kind, edges, limit
