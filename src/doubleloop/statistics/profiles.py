"""Profiles: what is kept of a column instead of its rows. Small, written as JSON, merged in any order.

``reference`` profiles the data a model was trained on and fixes the bins; ``window`` profiles one stretch of
production against it. Windows of one reference merge (``+``), so an hour, a day and a month cost the same to judge.
A column that a window does not have counts as missing in every row: that is what the model is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.statistics import columns, conformity, drift, merging, quantiles, samples, schema, sketches

FORMAT = 2
_AT_ONCE = 64


@dataclass(frozen=True)
class ColumnProfile:
    """One column. ``outside`` counts values beyond the reference's smallest and largest (numerical) or not among
    its categories (text and categorical integers); None where that is not defined or cannot be known."""

    name: str
    type: schema.Type
    kind: schema.Kind
    rows: int = 0
    nulls: int = 0
    type_errors: int = 0
    outside: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    moments: sketches.Moments | None = None
    histogram: sketches.Histogram | None = None
    categories: sketches.Categories | None = None
    quantiles: quantiles.Quantiles | None = None

    @property
    def values(self) -> int:
        """Rows with a value of the right type."""
        return self.rows - self.nulls - self.type_errors

    def __add__(self, other: ColumnProfile) -> ColumnProfile:
        """Raises InvalidInput when the two were not profiled against one reference."""
        return merging.column([self, other])


@dataclass(frozen=True)
class TableProfile:
    rows: int
    columns: Mapping[str, ColumnProfile]

    def __add__(self, other: TableProfile) -> TableProfile:
        """Raises InvalidInput when the two were not profiled against one reference."""
        return merging.tables([self, other])

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "rows": self.rows,
            "columns": [to_dict(profile) for profile in self.columns.values()],
        }


def reference(
    data: columns.Table,
    overrides: Mapping[str, schema.Kind | str] | None = None,
    category_limit: int = sketches.DEFAULT_CATEGORIES,
) -> TableProfile:
    """Profile of the data to compare with. Numerical columns get Sturges bins from their smallest to their largest
    finite value; categorical ones keep at most ``category_limit`` labels with their counts.

    Raises InvalidInput for overrides that cannot be right.
    """
    frame = columns.table(data)
    described = schema.describe(frame, overrides)
    profiles = {name: _reference(frame[name], about, category_limit) for name, about in described.items()}
    return TableProfile(frame.height, profiles)


def window(data: columns.Table, against: TableProfile) -> TableProfile:
    """Profile of a stretch of production, with the types, bins and categories of ``against``; columns that the
    reference does not know are left out."""
    frame = columns.table(data)
    absent = pl.Series("", [None] * frame.height, dtype=pl.Null)
    profiles = {
        name: _window(frame[name] if name in frame.columns else absent, known)
        for name, known in against.columns.items()
    }
    return TableProfile(frame.height, profiles)


def streamed(pieces: Iterable[columns.Table], against: TableProfile) -> TableProfile:
    """Profile of a window that comes in pieces, in memory that does not grow with their number."""
    held = [window({name: [] for name in against.columns}, against)]
    for piece in pieces:
        held.append(window(piece, against))
        if len(held) > _AT_ONCE:
            held = [merging.tables(held)]
    return merging.tables(held)


def column(
    values: columns.Column, against: ColumnProfile | None = None, override: schema.Kind | str | None = None
) -> ColumnProfile:
    """Profile of one column, as a reference or, with ``against``, as a window."""
    found = columns.series(values)
    if against is not None:
        return _window(found, against)
    about = schema.Description(found.name, schema.type_of(found.dtype), schema.kind_of(found, override))
    return _reference(found, about, sketches.DEFAULT_CATEGORIES)


def _reference(found: pl.Series, about: schema.Description, limit: int) -> ColumnProfile:
    if about.kind is schema.Kind.NUMERICAL:
        values = samples.Numbers.of(found)
        return _numerical(found, found, values, about, _edges(values), None)
    if about.kind is schema.Kind.CATEGORICAL:
        tally = columns.counts(found)
        return _categorical(found, 0, about, sketches.Categories.of(tally, limit), 0)
    return ColumnProfile(about.name, about.type, about.kind, len(found), columns.missing(found))


def _window(found: pl.Series, known: ColumnProfile) -> ColumnProfile:
    about = schema.Description(known.name, known.type, known.kind)
    if known.kind is schema.Kind.UNSUPPORTED:
        return ColumnProfile(known.name, known.type, known.kind, len(found), columns.missing(found))
    read, type_errors = conformity.conform(found, known.type)
    if schema.type_of(read.dtype) is schema.Type.UNSUPPORTED:  # nested values where plain ones belong
        read, type_errors = read.clear(len(read)).cast(pl.Null), len(read) - read.null_count()
    if known.kind is schema.Kind.NUMERICAL:
        edges = known.histogram.edges if known.histogram else ()
        return _numerical(found, read, samples.Numbers.of(read), about, edges, known)
    tally = columns.counts(read)
    limit = known.categories.limit if known.categories else sketches.DEFAULT_CATEGORIES
    outside = _unseen(tally, known)
    return _categorical(found, type_errors, about, sketches.Categories.of(tally, limit), outside)


def _numerical(
    found: pl.Series,
    read: pl.Series,
    values: samples.Numbers,
    about: schema.Description,
    edges: tuple[float, ...],
    known: ColumnProfile | None,
) -> ColumnProfile:
    finite = values.finite
    low, high = (float(finite[0]), float(finite[-1])) if len(finite) else (None, None)
    return ColumnProfile(
        about.name,
        about.type,
        about.kind,
        len(found),
        len(found) - len(values) if read is found else columns.missing(found),
        read.null_count() - found.null_count(),
        _beyond(values, known.minimum, known.maximum) if known else 0,
        low,
        high,
        sketches.Moments.of(finite),
        sketches.Histogram.of(values, edges),
        quantiles=quantiles.Quantiles.of(finite),
    )


def _categorical(
    found: pl.Series,
    type_errors: int,
    about: schema.Description,
    categories: sketches.Categories,
    outside: int | None,
) -> ColumnProfile:
    bounded = about.type in (schema.Type.STRING, schema.Type.INTEGER, schema.Type.FLOAT)
    return ColumnProfile(
        about.name,
        about.type,
        about.kind,
        len(found),
        columns.missing(found),
        type_errors,
        outside if bounded else None,
        categories=categories,
    )


def _edges(values: samples.Numbers) -> tuple[float, ...]:
    if not len(values.finite):
        return ()
    low, high = float(values.finite[0]), float(values.finite[-1])
    return tuple(float(edge) for edge in drift.equal_bins(low, high, drift.sturges(len(values))))


def _beyond(values: samples.Numbers, low: float | None, high: float | None) -> int | None:
    return None if low is None or high is None else values.outside(low, high)


def _unseen(tally: Mapping[str, int], known: ColumnProfile) -> int | None:
    if known.categories is None or not known.categories.complete:
        return None
    return sum(count for label, count in tally.items() if label not in known.categories.counts)


def to_dict(profile: ColumnProfile) -> dict[str, Any]:
    """What ``from_dict`` reads back; canonical JSON can write it."""
    body: dict[str, Any] = {
        name: getattr(profile, name)
        for name in ("name", "type", "kind", "rows", "nulls", "type_errors", "outside", "minimum", "maximum")
    }
    body["type"], body["kind"] = profile.type.value, profile.kind.value
    for part in ("moments", "histogram", "categories"):
        sketch = getattr(profile, part)
        if sketch is not None:
            body[part] = sketches.to_dict(sketch)
    return body | ({"quantiles": profile.quantiles.to_dict()} if profile.quantiles is not None else {})


def from_dict(body: Mapping[str, Any]) -> TableProfile:
    """The inverse of ``TableProfile.to_dict``. Raises InvalidInput when it was not written by this version."""
    if body.get("format") != FORMAT:
        raise errors.InvalidInput(
            f"profile of format {body.get('format')!r}; this version reads format {FORMAT}",
            cure="Profile the data again.",
        )
    try:
        profiles = [column_from_dict(column) for column in body["columns"]]
        return TableProfile(body["rows"], {profile.name: profile for profile in profiles})
    except (KeyError, TypeError, ValueError) as problem:
        raise errors.InvalidInput(f"this is not a profile: {problem!r}", cure="Profile the data again.") from problem


def column_from_dict(body: Mapping[str, Any]) -> ColumnProfile:
    plain = {key: body[key] for key in ("name", "rows", "nulls", "type_errors", "outside")}
    moments, histogram, categories = (body.get(part) for part in ("moments", "histogram", "categories"))
    return ColumnProfile(
        **plain,
        type=schema.Type(body["type"]),
        kind=schema.Kind(body["kind"]),
        minimum=body["minimum"],
        maximum=body["maximum"],
        moments=moments and _moments(moments),
        histogram=histogram and _histogram(histogram),
        categories=categories and sketches.Categories(**categories),
        quantiles=quantiles.Quantiles.from_dict(body["quantiles"]) if "quantiles" in body else None,
    )


def _moments(body: Mapping[str, Any]) -> sketches.Moments:
    return sketches.Moments(body["count"], float(body["mean"]), float(body["deviations"]))


def _histogram(body: Mapping[str, Any]) -> sketches.Histogram:
    return sketches.Histogram(**(dict(body) | {"edges": tuple(body["edges"]), "counts": tuple(body["counts"])}))
