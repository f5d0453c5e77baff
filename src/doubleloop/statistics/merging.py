"""Many profiles as one: the same for every order of them, with one thinning of each quantile sketch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doubleloop.base import errors
from doubleloop.statistics import quantiles, sketches

if TYPE_CHECKING:
    from doubleloop.statistics import profiles


def tables(parts: Sequence[profiles.TableProfile]) -> profiles.TableProfile:
    """Raises InvalidInput for none at all, and for profiles that do not belong to one reference."""
    if not parts:
        raise errors.InvalidInput("there is no profile to merge", cure="Profile an empty table for an empty window.")
    if any(part.columns.keys() != parts[0].columns.keys() for part in parts):
        raise errors.InvalidInput(
            "profiles of tables with different columns cannot be merged",
            cure="Profile both windows against the same reference.",
        )
    found = {name: column([part.columns[name] for part in parts]) for name in parts[0].columns}
    return dataclasses.replace(parts[0], rows=sum(part.rows for part in parts), columns=found)


def column(parts: Sequence[profiles.ColumnProfile]) -> profiles.ColumnProfile:
    """One column of several windows. Raises InvalidInput when they do not belong to one reference."""
    first = parts[0]
    for other in parts:
        if (first.name, first.type, first.kind) != (other.name, other.type, other.kind):
            raise errors.InvalidInput(
                f"profiles of {first.name} ({first.type}, {first.kind}) and {other.name} ({other.type}, "
                f"{other.kind}) cannot be merged",
                cure="Profile both windows against the same reference.",
            )
    outside, moments = _all(parts, "outside"), _all(parts, "moments")
    histogram, categories, sketch = (_all(parts, part) for part in ("histogram", "categories", "quantiles"))
    return dataclasses.replace(
        first,
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        type_errors=sum(part.type_errors for part in parts),
        outside=None if outside is None else sum(outside),
        minimum=min((part.minimum for part in parts if part.minimum is not None), default=None),
        maximum=max((part.maximum for part in parts if part.maximum is not None), default=None),
        moments=moments and sketches.merged_moments(moments),
        histogram=histogram and sketches.Histogram.merged(histogram),
        categories=categories and sketches.Categories.merged(categories),
        quantiles=sketch and quantiles.merged(sketch),
    )


def _all(parts: Sequence[Any], name: str) -> Any:
    """That part of every profile, or None when one has none."""
    found = [getattr(part, name) for part in parts]
    return None if any(each is None for each in found) else found
