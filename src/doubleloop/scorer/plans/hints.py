"""What a fitted model says of its inputs, for the rows that it is probed with."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, List, Sequence

from . import building, texts
from .probes import Known
from .steps import Inputs

MOST = 64  # numbers that are kept of one column


def of(model: Any, inputs: Inputs) -> Known:
    known = Known()
    steps, estimator, _ = building.unfolded(model)
    everything = list(range(len(inputs)))
    if steps and type(steps[0]).__name__ == "ColumnTransformer":
        for name, part, _ in steps[0].transformers_:
            _note(known, building.flat(part), building.positions(steps[0], name, inputs))
    else:
        _note(known, steps, everything)
        if not steps:
            _thresholds(known, estimator)
    return known


def _note(known: Known, steps: Sequence[Any], positions: List[int]) -> None:
    for step in steps:
        if texts.is_vectorizer(step) and len(positions) == 1:
            known.categories.setdefault(positions[0], []).extend(texts.known(step))
        for values, attribute in ((known.categories, "categories_"), (known.numbers, "statistics_")):
            _keep(values, getattr(step, attribute, None), positions)
        for attribute in ("mean_", "center_", "data_min_", "data_max_"):
            _keep(known.numbers, getattr(step, attribute, None), positions)
        mean, scale = getattr(step, "mean_", None), getattr(step, "scale_", None)
        if mean is not None and scale is not None and len(mean) == len(positions):
            for factor in (-2.0, -1.0, 1.0, 2.0):
                _keep(known.numbers, mean + factor * scale, positions)


def _keep(into: Any, values: Any, positions: List[int]) -> None:
    if values is None or len(values) != len(positions):
        return
    for position, value in zip(positions, values):
        found = value.tolist() if hasattr(value, "tolist") else value
        for each in found if isinstance(found, list) else [found]:
            kept = into.setdefault(position, [])
            if isinstance(each, (str, int, float)) and each == each and len(kept) < MOST:
                kept.append(each)


def _thresholds(known: Known, estimator: Any) -> None:
    """Where trees that get the columns as they are decide."""
    trees = getattr(estimator, "estimators_", None)
    flat = [estimator] if trees is None else list(getattr(trees, "flat", trees))
    for tree in flat[:50]:
        inner = getattr(tree, "tree_", None)
        if inner is None:
            return
        for feature, threshold in zip(inner.feature.tolist(), inner.threshold.tolist()):
            if feature >= 0 and len(known.numbers.setdefault(feature, [])) < MOST:
                known.numbers[feature].append(threshold)
