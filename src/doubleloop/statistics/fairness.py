"""Whether the groups of a sensitive column are treated alike, as fairlearn has it, which referees the tests.

``selection_rate_*`` needs predictions alone, so it is there before any truth is; the others need both.
Differences are 0 and ratios 1 when all groups are alike. Groups under ``MIN_GROUP`` rows are left out: their rates say
little (they are counted in ``sizes``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.statistics import columns

MIN_GROUP = 30
MISSING = "(missing)"
_Parts = dict[str, Mapping[str, float]]
OF_PREDICTIONS = ("selection_rate_difference", "selection_rate_ratio")
OF_TRUTH = ("equalized_odds_difference", "accuracy_difference", "mae_difference", "mae_ratio")


@dataclass(frozen=True)
class Groups:
    """One sensitive column. ``values``: metric to value, those that could be computed; ``of_groups``: metric base to
    group to its own value; ``sizes``: rows of every group."""

    sizes: Mapping[str, int]
    values: Mapping[str, float] = field(default_factory=dict)
    of_groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""


def of_classes(
    groups: columns.Column,
    predicted: columns.Column,
    truth: columns.Column | None = None,
    positive: Any = 1,
    min_group: int = MIN_GROUP,
) -> Groups:
    """Shapes ``(rows,)``; a row without a prediction is left out, and one without truth where truth is needed.

    Raises InvalidInput for columns of different lengths.
    """
    group, said = _aligned(groups, predicted)
    wanted = columns.labels([positive])[0]
    chosen = columns.as_labels(said)
    known = chosen.is_not_null().to_numpy()
    selected = (chosen == wanted).fill_null(False).to_numpy()
    sizes, names = _sizes(group, known, min_group)
    if len(names) < 2:
        return Groups(sizes, reason=_too_few(min_group))
    rates = {name: float(selected[known & (group == name)].mean()) for name in names}
    values, parts, reason = _spread("selection_rate", rates), _Parts(selection_rate=rates), ""
    if not selected.any():  # nothing by nothing: whether the groups are treated alike cannot be told
        there = ", ".join(chosen.drop_nulls().unique().sort().head(5).to_list())
        values, reason = {}, f"nobody was given the positive label {wanted}; the answers are {there}"
    if truth is not None:
        _, true = _aligned(groups, truth)
        told = columns.as_labels(true)
        judged = known & told.is_not_null().to_numpy()
        hits = (told == wanted).fill_null(False).to_numpy()
        _odds(values, parts, group, names, selected, hits, judged)
        right = (told == chosen).fill_null(False).to_numpy()
        shares = {name: float(right[judged & (group == name)].mean()) for name in names if _some(judged, group, name)}
        if len(shares) == len(names):
            parts["accuracy"] = shares
            values["accuracy_difference"] = _difference(shares)
    return Groups(sizes, values, parts, reason)


def of_numbers(
    groups: columns.Column, predicted: columns.Column, truth: columns.Column, min_group: int = MIN_GROUP
) -> Groups:
    """Mean absolute error of each group: ``mae_difference`` and ``mae_ratio`` (smallest by largest). As above."""
    group, said = _aligned(groups, predicted)
    _, true = _aligned(groups, truth)
    wrong = np.abs(columns.with_holes(said) - columns.with_holes(true))
    judged = np.isfinite(wrong)
    sizes, names = _sizes(group, judged, min_group)
    if len(names) < 2:
        return Groups(sizes, reason=_too_few(min_group))
    errors_of = {name: float(wrong[judged & (group == name)].mean()) for name in names}
    return Groups(sizes, _spread("mae", errors_of), {"mae": errors_of})


def _odds(
    values: dict[str, float],
    parts: _Parts,
    group: NDArray[Any],
    names: list[str],
    selected: NDArray[np.bool_],
    hits: NDArray[np.bool_],
    judged: NDArray[np.bool_],
) -> None:
    """Equalised odds: the larger of the differences of true and of false positive rates (M. Hardt et al. 2016)."""
    found = []
    for base, rows in (("true_positive_rate", judged & hits), ("false_positive_rate", judged & ~hits)):
        rates = {name: float(selected[rows & (group == name)].mean()) for name in names if _some(rows, group, name)}
        if len(rates) < len(names):
            return
        parts[base] = rates
        found.append(_difference(rates))
    values["equalized_odds_difference"] = max(found)


def _spread(base: str, rates: Mapping[str, float]) -> dict[str, float]:
    least, most = min(rates.values()), max(rates.values())
    return {f"{base}_difference": most - least, f"{base}_ratio": least / most if most > 0 else 1.0}


def _difference(rates: Mapping[str, float]) -> float:
    return max(rates.values()) - min(rates.values())


def _some(rows: NDArray[np.bool_], group: NDArray[Any], name: str) -> bool:
    return bool((rows & (group == name)).any())


def _sizes(group: NDArray[Any], known: NDArray[np.bool_], least: int) -> tuple[dict[str, int], list[str]]:
    names, counts = np.unique(group[known], return_counts=True)
    sizes = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    return sizes, [name for name, count in sizes.items() if count >= least]


def _too_few(least: int) -> str:
    return f"fewer than two groups have {least} rows"


def _aligned(groups: columns.Column, values: columns.Column) -> tuple[NDArray[Any], pl.Series]:
    group, held = columns.as_labels(columns.series(groups)).fill_null(MISSING), columns.series(values)
    if len(group) != len(held):
        raise errors.InvalidInput(f"{len(group)} rows of groups but {len(held)} values", cure="Give one of each a row.")
    return np.asarray(group.to_list(), dtype=np.str_), held
