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

NAME = b"DLprof\x00\x02"
DIGEST = 16
FIRST = len(NAME) + DIGEST
LEVELS = quantiles.LEVELS
NUMBERS = 4  # of a column, and of the moments and range of a numerical one
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
        return NAME + hashlib.blake2b(canonical.dumps(said).encode(), digest_size=DIGEST).digest()

    @property
    def digest(self) -> str:
        """Of the reference's types, bins and labels, as hexadecimal digits."""
        return self.head[len(NAME) :].hex()

    @cached_property
    def integers(self) -> int:
        bins = sum(len(column.histogram.counts) + 6 for column in self.numerical if column.histogram)
        labels = sum(len(labels) + 2 for _, _, labels in self.categorical)
        return 3 + NUMBERS * len(self.reference.columns) + bins + labels

    @cached_property
    def fixed(self) -> int:
        """Bytes before the sketches."""
        return FIRST + 8 * (self.integers + (NUMBERS + LEVELS // 4) * len(self.numerical))


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
    return np.bincount(part.levels, minlength=LEVELS).astype(np.uint16)


def _range(column: profiles.ColumnProfile) -> tuple[float, float, float, float]:
    assert column.moments is not None
    ends = (math.nan if end is None else end for end in (column.minimum, column.maximum))
    return (column.moments.mean, column.moments.deviations, *ends)  # type: ignore[return-value]


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
