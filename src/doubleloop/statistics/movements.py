"""What moved, in words: before and after of a column, for the person who reads an alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from doubleloop.statistics import columns, drift, pairs, profiles, samples, schema, signals

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TOP = 5


@dataclass(frozen=True)
class Summary:
    """One side of a column. Numerical: mean, sample std, quantiles (5, 25, 50, 75, 95 %) of the finite values.
    Categorical: the most frequent labels with their shares of the values that are there."""

    rows: int
    nulls: int
    kind: schema.Kind
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    top: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {"rows": self.rows, "nulls": self.nulls, "kind": self.kind.value}
        if self.kind is schema.Kind.NUMERICAL:
            return body | {"mean": self.mean, "std": self.std, "quantiles": list(self.quantiles)}
        return body | {"top": [list(item) for item in self.top]}


@dataclass(frozen=True)
class Movement:
    """How one column went from ``before`` to ``after``; ``distance`` orders columns, the largest moved most."""

    column: str
    distance: float
    before: Summary
    after: Summary

    def __str__(self) -> str:
        return f"{self.column}: {_numbers(self) if self.before.kind is schema.Kind.NUMERICAL else _categories(self)}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "distance": self.distance,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "sentence": str(self),
        }


def summarise(values: columns.Column, kind: schema.Kind | str) -> Summary:
    """Summary of a column judged as ``kind``. Raises InvalidInput for text judged as numbers."""
    column, kind = columns.series(values), schema.Kind(kind)
    empty = Summary(len(column), columns.missing(column), kind)
    return empty if kind is schema.Kind.UNSUPPORTED else _of_side(empty, samples.of(column, kind))


def _of_side(empty: Summary, side: samples.Side) -> Summary:
    if isinstance(side, samples.Labels):
        return replace(empty, top=_most_frequent(side.counts))
    if not len(side.finite):
        return empty
    std = side.deviation if len(side.finite) > 1 else None
    return replace(empty, mean=samples.mean(side.finite), std=std, quantiles=side.at(QUANTILES))


def of_profile(profile: profiles.ColumnProfile) -> Summary:
    """The same from a profile; quantiles are those of its sketch."""
    if profile.categories is not None:
        total = max(profile.categories.total, 1)
        top = tuple((label, count / total) for label, count in profile.categories.top(TOP))
        return Summary(profile.rows, profile.nulls, profile.kind, top=top)
    if profile.moments is None or not profile.moments.count:
        return Summary(profile.rows, profile.nulls, profile.kind)
    moments, sketch = profile.moments, profile.quantiles
    found = tuple(float(value) for value in sketch.at(QUANTILES)) if sketch is not None else ()
    return Summary(profile.rows, profile.nulls, profile.kind, moments.mean, moments.std, found)


def compare(
    wanted: Mapping[schema.Kind | str, Iterable[str]],
    reference: pairs.Table,
    current: pairs.Table,
    features: Sequence[str] | None = None,
    overrides: Mapping[str, schema.Kind | str] | None = None,
    count: int = TOP,
) -> tuple[list[signals.Value], list[Movement]]:
    """``signals.evaluate_table``, and the ``count`` columns that moved most, from one look at every column. Means,
    quantiles and labels are those of the rows that were compared; rows and nulls those of all."""
    asked = signals.metrics_of_features(wanted)

    def look(pair: pairs.Pair) -> tuple[list[signals.Value], Movement | None]:
        movement = _of_pair(pair) if count else None
        return signals.values_of(pair, asked.get(pair.kind, [])), movement

    found = signals.compare(reference, current, features, overrides, look)
    moved = _ordered(movement for _, movement in found if movement is not None)
    return [value for values, _ in found for value in values], moved[:count]


def _of_pair(pair: pairs.Pair) -> Movement | None:
    if pair.reason or pair.kind is schema.Kind.UNSUPPORTED:
        return None
    one, two = (Summary(rows, missing, pair.kind) for rows, missing in zip(pair.rows, pair.missing, strict=True))
    return _movement(pair.name, (one, two), pair.sides)


def _movement(name: str, empty: tuple[Summary, Summary], sides: tuple[samples.Side, samples.Side]) -> Movement | None:
    """``empty``: rows and nulls. None where no value is there on one side."""
    if not all(map(len, sides)):
        return None
    distance = drift.jensen_shannon_distance(*sides, empty[0].kind)
    return Movement(name, distance, _of_side(empty[0], sides[0]), _of_side(empty[1], sides[1]))


def _most_frequent(counts: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    total = sum(counts.values())
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return tuple((label, count / total) for label, count in top)


def most_moved(
    reference: columns.Table,
    current: columns.Table,
    kinds: dict[str, schema.Kind],
    count: int = TOP,
) -> list[Movement]:
    """The ``count`` columns that moved most, by Jensen-Shannon distance (one scale for numbers and categories).

    Columns without values on either side are left out. ``kinds`` names the columns to look at.
    """
    before, after = columns.table(reference), columns.table(current)
    found = []
    for name, kind in kinds.items():
        if name not in before.columns or name not in after.columns or kind is schema.Kind.UNSUPPORTED:
            continue
        held = before[name], after[name]
        one, two = (Summary(len(column), columns.missing(column), kind) for column in held)
        found.append(_movement(name, (one, two), (samples.of(held[0], kind), samples.of(held[1], kind))))
    return _ordered(each for each in found if each is not None)[:count]


def most_moved_profiles(
    reference: profiles.TableProfile, current: profiles.TableProfile, count: int = TOP
) -> list[Movement]:
    """The same from profiles of one reference."""
    found = []
    for name, known in reference.columns.items():
        if name not in current.columns or known.kind is schema.Kind.UNSUPPORTED:
            continue
        value = signals.evaluate("jensen_shannon_distance", known, current.columns[name])
        if value.value is not None:
            found.append(Movement(name, value.value, of_profile(known), of_profile(current.columns[name])))
    return _ordered(found)[:count]


def _ordered(found: Iterable[Movement]) -> list[Movement]:
    return sorted(found, key=lambda movement: (-movement.distance, movement.column))


def _numbers(movement: Movement) -> str:
    one, two = movement.before, movement.after
    parts = [f"mean {_short(one.mean)} -> {_short(two.mean)}", f"std {_short(one.std)} -> {_short(two.std)}"]
    if one.quantiles and two.quantiles:
        middle = len(QUANTILES) // 2
        parts.append(f"median {_short(one.quantiles[middle])} -> {_short(two.quantiles[middle])}")
    return ", ".join(parts)


def _categories(movement: Movement) -> str:
    """The labels that moved most for certain: of one that is not among a side's most frequent, its share there is only
    known to be no larger than the last of those."""
    one, two = dict(movement.before.top), dict(movement.after.top)
    most = {label: (_bound(one, label), _bound(two, label)) for label in one.keys() | two.keys()}

    def moved(label: str) -> float:
        if label in one and label in two:
            return abs(two[label] - one[label])
        known, bound = (one[label], most[label][1]) if label in one else (two[label], most[label][0])
        return max(0.0, known - bound)

    labels = sorted(most, key=lambda label: (-moved(label), label))
    return ", ".join(f"{label} {_share(one, label)} -> {_share(two, label)}" for label in labels[:3])


def _bound(top: dict[str, float], label: str) -> float:
    """The largest share that a label can have on a side whose most frequent labels are ``top``."""
    return top.get(label, min(1 - sum(top.values()), min(top.values(), default=1.0)))


def _share(top: dict[str, float], label: str) -> str:
    if label in top:
        return f"{top[label]:.1%}"
    bound = _bound(top, label)
    return "0.0%" if bound < 0.0005 else f"under {bound:.1%}"


def _short(number: float | None) -> str:
    return "none" if number is None else f"{number:.4g}"
