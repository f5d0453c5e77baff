"""Many packed profiles as one, the same for any order of them: thousands are added up as arrays.

They are read a few hundred at a time, so that what is copied stays in the processor's cache: first the counts of all,
then the values of their quantile sketches, thinned as they come (``quantiles.thinned``).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import packing, profiles, quantiles, sketches

_AT_ONCE = 128
Tallies = dict[str, dict[str, int]]


def merge(packed: Sequence[bytes], layout: packing.Layout) -> profiles.TableProfile:
    """Raises InvalidInput for none at all, and for what is not packed by this layout."""
    if not packed:
        raise errors.InvalidInput(
            "there is no profile to merge", cure="Profile an empty table for a window of no rows."
        )
    if any(not each.startswith(layout.head) or len(each) < layout.fixed for each in packed):
        raise errors.InvalidInput("a packed profile belongs to another reference", cure="Profile the data again.")
    places = _Places(layout)
    counts = _Counts.of(packed, places)
    ends = layout.fixed + 8 * counts.lengths[:, 0]
    if (counts.lengths < 0).any() or (ends + counts.lengths[:, 1] != [len(each) for each in packed]).any():
        raise errors.InvalidInput("a packed profile is cut off", cure="Profile the data again.")
    columns = _columns(layout, counts)
    _numerical(columns, places, counts, _sketches(packed, layout, counts, ends.tolist()))
    _categorical(columns, places, counts, _tails(packed, counts))
    return profiles.TableProfile(int(counts.totals[0]), columns)


@dataclass(frozen=True)
class _Places:
    """Where the integers of a packed profile are that are not only added up."""

    layout: packing.Layout

    @cached_property
    def numerical(self) -> list[int]:
        """Where each numerical column begins."""
        place, found = 3 + packing.NUMBERS * len(self.layout.reference.columns), []
        for known in self.layout.numerical:
            assert known.histogram is not None
            found.append(place)
            place += len(known.histogram.counts) + 6
        return found

    @cached_property
    def moments(self) -> list[int]:
        return [
            place + len(known.histogram.counts) + 4
            for place, known in zip(self.numerical, self.layout.numerical, strict=True)
            if known.histogram is not None
        ]

    @cached_property
    def categorical(self) -> list[int]:
        place, found = self.layout.integers, []
        for _, _, labels in reversed(self.layout.categorical):
            place -= 2 + len(labels)
            found.append(place)
        return found[::-1]

    @cached_property
    def least(self) -> list[int]:
        """Those of which the least says something: unknown counts are negative, and what is not complete is 0."""
        outside = [3 + packing.NUMBERS * at + 3 for at in range(len(self.layout.reference.columns))]
        return outside + [place + 1 for place in self.categorical]


@dataclass(frozen=True)
class _Counts:
    """Of all profiles: sums of their integers, the least of some, and what each says of its numerical columns."""

    totals: packing.Integers  # shape (integers,)
    least: packing.Integers  # shape (columns + categorical,), as ``_Places.least``
    lengths: packing.Integers  # values of all sketches, bytes of the tail; shape (profiles, 2)
    moments: NDArray[np.float64]  # shape (profiles, numerical)
    floats: NDArray[np.float64]  # shape (profiles, numerical, 4)
    on_levels: NDArray[np.uint16]  # values of each sketch on each level; shape (profiles, numerical, LEVELS)

    @staticmethod
    def of(packed: Sequence[bytes], places: _Places) -> _Counts:
        layout, parts = places.layout, []
        wide, numbers = len(layout.numerical), layout.integers
        middle = numbers + packing.NUMBERS * wide
        for chunk in _chunks(packed):
            held = np.frombuffer(b"".join([each[packing.FIRST : layout.fixed] for each in chunk]), dtype=np.int64)
            held = held.reshape(len(chunk), -1)
            parts.append((
                held[:, :numbers].sum(axis=0), held[:, places.least].min(axis=0), held[:, 1:3].copy(),
                held[:, places.moments].astype(np.float64),
                held[:, numbers:middle].copy().view(np.float64).reshape(len(chunk), wide, packing.NUMBERS),
                held[:, middle:].copy().view(np.uint16).reshape(len(chunk), wide, packing.LEVELS),
            ))  # fmt: skip
        totals, least, *each = zip(*parts, strict=True)
        return _Counts(sum(totals), np.min(least, axis=0), *map(np.concatenate, each))


def _chunks(packed: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (packed[start : start + _AT_ONCE] for start in range(0, len(packed), _AT_ONCE))


def _columns(layout: packing.Layout, counts: _Counts) -> dict[str, profiles.ColumnProfile]:
    found = {}
    for at, (name, known) in enumerate(layout.reference.columns.items()):
        place = 3 + packing.NUMBERS * at
        rows, nulls, type_errors, outside = (int(each) for each in counts.totals[place : place + packing.NUMBERS])
        found[name] = profiles.ColumnProfile(
            name, known.type, known.kind, rows, nulls, type_errors, None if counts.least[at] < 0 else outside
        )
    return found


def _numerical(
    found: dict[str, profiles.ColumnProfile], places: _Places, counts: _Counts, parts: list[quantiles.Quantiles]
) -> None:
    for number, (known, place) in enumerate(zip(places.layout.numerical, places.numerical, strict=True)):
        assert known.histogram is not None
        minus, below, *bins, above, plus = (int(each) for each in counts.totals[place : places.moments[number]])
        means, deviations, lows, highs = counts.floats[:, number].T
        found[known.name] = dataclasses.replace(
            found[known.name],
            minimum=_end(np.fmin, lows),
            maximum=_end(np.fmax, highs),
            moments=sketches.Moments.merged(counts.moments[:, number], means, deviations),
            histogram=sketches.Histogram(known.histogram.edges, tuple(bins), below, above, minus, plus),
            quantiles=parts[number],
        )


def _sketches(
    packed: Sequence[bytes], layout: packing.Layout, counts: _Counts, ends: Sequence[int]
) -> list[quantiles.Quantiles]:
    """The sketch of each numerical column."""
    wide = len(layout.numerical)
    tops = quantiles.tops(counts.on_levels)
    found: list[list[tuple[NDArray[np.float64], NDArray[np.uint8]]]] = [[] for _ in range(wide)]
    for start in range(0, len(packed), _AT_ONCE):
        chunk = slice(start, start + _AT_ONCE)
        spans = zip(packed[chunk], ends[chunk], strict=True)
        values = np.frombuffer(b"".join([each[layout.fixed : end] for each, end in spans]), dtype=np.float64)
        runs = quantiles.Runs.of(values, counts.on_levels[chunk])
        for column, part in enumerate(runs.thinned(tops)):
            found[column].append(part)
    return [quantiles.of_items(*map(np.concatenate, zip(*parts, strict=True))) for parts in found]


def _categorical(found: dict[str, profiles.ColumnProfile], places: _Places, counts: _Counts, tails: Tallies) -> None:
    complete = counts.least[len(places.layout.reference.columns) :] > 0
    described = zip(places.layout.categorical, places.categorical, complete.tolist(), strict=True)
    for (known, categories, labels), place, whole in described:
        numbers = counts.totals[place : place + 2 + len(labels)].tolist()
        tally = {label: count for label, count in zip(labels, numbers[2:], strict=True) if count}
        for label, count in tails.get(known.name, {}).items():
            tally[label] = tally.get(label, 0) + count
        kept = sketches.Categories.bounded(tally, categories.limit, numbers[0], whole)
        found[known.name] = dataclasses.replace(found[known.name], categories=kept)


def _tails(packed: Sequence[bytes], counts: _Counts) -> Tallies:
    found: Tallies = {}
    for which in np.flatnonzero(counts.lengths[:, 1]).tolist():
        for name, labels in json.loads(packed[which][-int(counts.lengths[which, 1]) :]).items():
            tally = found.setdefault(name, {})
            for label, count in labels.items():
                tally[label] = tally.get(label, 0) + count
    return found


def _end(choose: np.ufunc, ends: NDArray[np.float64]) -> float | None:
    found = float(choose.reduce(ends))
    return None if math.isnan(found) else found
