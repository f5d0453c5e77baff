"""responsible_ai: whether a model treats the groups of a sensitive column alike, by fairlearn's ``MetricFrame``.

Metrics are named ``<base>_<how>``. ``difference`` is the largest group value minus the smallest; ``group_max`` and
``group_min`` are those values themselves. ``ratio`` compares worst with best so that 1 means equal: for errors (mae,
rmse, error rates …) largest ÷ smallest, 1 or more, judged with ``at_most``; for everything else smallest ÷ largest, 1
or less, judged with ``at_least`` (fairlearn's ratio). Every sensitive column is judged by itself.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors, verdicts
from doubleloop.statistics import columns, performance

MIN_GROUP = 30
MAX_GROUPS = 50
MISSING = "(missing)"
HOW = ("difference", "ratio", "group_min", "group_max")

_TRUTH: dict[str, Callable[..., float]] = {
    "mae": performance.mae, "mse": performance.mse, "rmse": performance.rmse, "mape": performance.mape,
    "r2": performance.r2, "accuracy": performance.accuracy,
}  # fmt: skip
# fairlearn's own, on a binary prediction.
_RATES = ("selection_rate", "true_positive_rate", "true_negative_rate", "false_positive_rate", "false_negative_rate")
ERRORS = frozenset({"mae", "mse", "rmse", "mape", "error_rate", "false_positive_rate", "false_negative_rate"})
_NAMES = {
    "demographic_parity": "selection_rate", "equal_opportunity": "true_positive_rate",
    "mean_absolute_error": "mae", "mean_squared_error": "mse", "root_mean_squared_error": "rmse", "r2_score": "r2",
    "accuracy_score": "accuracy", "zero_one_loss": "error_rate", "recall": "true_positive_rate",
}  # fmt: skip
BASES = (*sorted(_TRUTH), "equalized_odds", "error_rate", "mean_prediction", *_RATES)


def parse(metric: str) -> tuple[str, str]:
    """(base, how) of a metric's name. Raises InvalidInput for an unknown one."""
    plain = metric.strip().lower()
    how = next((each for each in HOW if plain.endswith("_" + each)), "")
    base = plain.removesuffix("_" + how) if how else plain
    base = _NAMES.get(base, base)
    if not how or base not in BASES or (base == "equalized_odds" and how.startswith("group")):
        raise errors.InvalidInput(
            f"'{metric}' is not a metric of responsible_ai",
            cure=f"Write <base>_<how> with a base of {', '.join(BASES)} and how of {', '.join(HOW)}.",
        )
    return base, how


def check_bounds(check: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a limit that nothing could ever break: such a check would decide nothing."""
    base, how = parse(check["metric"])
    name = check["metric"]
    if how == "ratio" and base in ERRORS and check.get("at_most") is None:
        raise errors.InvalidInput(f"{name} is the worst group over the best, 1 or more", cure="Use at_most: 1.25.")
    if how == "ratio" and base not in ERRORS and check.get("at_least") is None:
        raise errors.InvalidInput(
            f"{name} is the smallest group over the largest, 1 or less", cure="Use at_least: 0.8."
        )
    if how == "difference" and check.get("at_most") is None:
        raise errors.InvalidInput(f"{name} is 0 for equal groups", cure="Use at_most: 0.1.")


def measure(
    metric: str,
    truth: columns.Column,
    predicted: columns.Column,
    sensitive: Mapping[str, columns.Column],
    min_group: int = MIN_GROUP,
) -> dict[str, Any]:
    """``{"metric", "sensitive": {column: {"value", "groups": [{group, size, value, judged}], "note"}}}``.

    Shapes ``(rows,)``. Groups under ``min_group`` rows are listed with their size and left out. ``value`` is None when
    fewer than two groups are left. Raises InvalidInput for missing predictions, too many groups, or labels that are
    not binary where a rate is asked for.
    """
    base, how = parse(metric)
    true, guess = _complete(truth, predicted)
    found = {}
    for name, values in sensitive.items():
        found[name] = _one(base, how, true, guess, _groups(name, values, len(true)), min_group)
    return {"metric": metric, "min_group_size": min_group, "sensitive": found}


def _complete(truth: columns.Column, predicted: columns.Column) -> tuple[NDArray[Any], NDArray[Any]]:
    true, guess = columns.series(truth, "truth"), columns.series(predicted, "predicted")
    if len(true) != len(guess):
        raise errors.InvalidInput(f"{len(true)} true values but {len(guess)} predictions")
    missing = int((~columns.present_mask(guess)).sum())
    if missing:
        raise errors.InvalidInput(f"the model gave no prediction for {missing} of {len(true)} rows")
    if not columns.present_mask(true).all():
        raise errors.InvalidInput("the target has missing values", cure="Leave such rows out of the hold-out.")
    return true.to_numpy(), guess.to_numpy()


def _groups(name: str, values: columns.Column, rows: int) -> NDArray[Any]:
    held = columns.series(values, name)
    if len(held) != rows:
        raise errors.InvalidInput(f"the sensitive column '{name}' has {len(held)} rows, the predictions {rows}")
    present = columns.present_mask(held)
    texts = [str(value) if there else MISSING for value, there in zip(held.to_list(), present.to_list(), strict=True)]
    distinct = len(set(texts))
    if distinct > MAX_GROUPS:
        raise errors.InvalidInput(
            f"the sensitive column '{name}' has {distinct} groups, over {MAX_GROUPS}",
            cure="Put its values into bins in the hold-out, for instance decades of age.",
        )
    return np.asarray(texts, dtype=object)


def _one(
    base: str, how: str, true: NDArray[Any], guess: NDArray[Any], groups: NDArray[Any], min_group: int
) -> dict[str, Any]:
    names, sizes = np.unique(groups.astype(str), return_counts=True)
    size = dict(zip(names.tolist(), (int(each) for each in sizes), strict=True))
    judged = [name for name, count in size.items() if count >= min_group]
    small = [f"{name} ({count})" for name, count in size.items() if count < min_group]
    note = f"left out for having under {min_group} rows: {', '.join(small)}" if small else ""
    listed = [{"group": name, "size": count, "judged": count >= min_group} for name, count in size.items()]
    if len(judged) < 2:
        return {"value": None, "groups": listed, "note": note or "there is only one group"}
    keep = np.isin(groups.astype(str), judged)
    value, by_group = _frame(base, how, true[keep], guess[keep], groups[keep], _classes(base, true, guess))
    for each in listed:
        each["value"] = by_group.get(str(each["group"]))
    return {"value": value, "groups": listed, "note": note}


def _classes(base: str, true: NDArray[Any], guess: NDArray[Any]) -> list[Any] | None:
    """The two labels, the positive one last, where the metric needs a binary prediction."""
    if base not in (*_RATES, "equalized_odds"):
        return None
    labels = sorted({str(each) for each in columns.labels(true.tolist()).to_list()}
                    | {str(each) for each in columns.labels(guess.tolist()).to_list()})  # fmt: skip
    if len(labels) > 2:
        raise errors.InvalidInput(
            f"this metric needs a binary prediction; the labels are {', '.join(labels[:10])}",
            cure="Use accuracy or an error metric for several classes.",
        )
    return labels


def _frame(
    base: str, how: str, true: NDArray[Any], guess: NDArray[Any], groups: NDArray[Any], classes: list[Any] | None
) -> tuple[float | None, dict[str, float | None]]:
    """fairlearn is imported here, when a check asks for it: it takes seconds and half the memory of this process."""
    fairlearn = importlib.import_module("fairlearn.metrics")
    if classes is not None:
        true, guess = _binary(true, classes), _binary(guess, classes)
    if base == "equalized_odds":
        return _equalized_odds(fairlearn, how, true, guess, groups)
    frame = fairlearn.MetricFrame(
        metrics=_function(fairlearn, base), y_true=true, y_pred=guess, sensitive_features=groups
    )
    by_group = {str(name): _finite(float(value)) for name, value in frame.by_group.items()}
    values = [value for value in by_group.values() if value is not None]
    if len(values) < len(by_group):
        return None, by_group
    return _spread(frame, base, how), by_group


def _spread(frame: Any, base: str, how: str) -> float | None:
    if how == "difference":
        return _finite(float(frame.difference(method="between_groups")))
    if how == "group_min":
        return _finite(float(frame.group_min()))
    if how == "group_max":
        return _finite(float(frame.group_max()))
    largest, smallest = float(frame.group_max()), float(frame.group_min())
    if largest == smallest:
        return 1.0  # equal groups, also when both are 0, where a ratio is not defined
    if base in ERRORS:
        return _finite(largest / smallest) if smallest > 0 else None
    return _finite(float(frame.ratio(method="between_groups")))


def _equalized_odds(
    fairlearn: Any, how: str, true: NDArray[Any], guess: NDArray[Any], groups: NDArray[Any]
) -> tuple[float | None, dict[str, float | None]]:
    function = getattr(fairlearn, f"equalized_odds_{how}")
    value = _finite(float(function(true, guess, sensitive_features=groups)))
    frame = fairlearn.MetricFrame(
        metrics=fairlearn.true_positive_rate, y_true=true, y_pred=guess, sensitive_features=groups
    )
    return value, {str(name): _finite(float(each)) for name, each in frame.by_group.items()}


def _function(fairlearn: Any, base: str) -> Callable[..., float]:
    if base in _TRUTH:
        return _TRUTH[base]
    if base == "error_rate":
        return lambda true, guess: 1.0 - performance.accuracy(true, guess)
    function: Callable[..., float] = getattr(fairlearn, base)
    return functools.wraps(function)(lambda true, guess: float(function(true, guess)))


def _binary(values: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.int64]:
    texts = columns.labels(values.tolist()).to_list()
    # One label only: it is the positive one when it reads like one.
    positive = classes[-1] if len(classes) == 2 else classes[0] if str(classes[0]).lower() in ("1", "true") else None
    return np.array([1 if text == positive else 0 for text in texts], dtype=np.int64)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: metric, at_most, at_least. A column in which fewer than two groups are large enough is not checked,
    unless another column fails."""
    if measurements.get("error"):
        return verdicts.failed(str(measurements["error"]))
    against: list[str] = []
    notes: list[str] = []
    unchecked: list[str] = []
    for name, found in measurements["sensitive"].items():
        if sum(1 for each in found["groups"] if each["judged"]) < 2:
            unchecked.append(f"{name}: fewer than two groups are large enough to compare ({found['note']})")
            continue
        said = _said(check["metric"], name, found)
        broken = found["value"] is None or _breaks(check, found["value"])
        (against if broken else notes).append(said + (_limits(check) if broken else ""))
        if found["note"]:
            notes.append(f"{name}: {found['note']}")
    if against:
        return verdicts.failed(*against)
    return verdicts.not_checked(*unchecked, *notes) if unchecked else verdicts.passed(*notes)


def _breaks(check: Mapping[str, Any], value: float) -> bool:
    most, least = check.get("at_most"), check.get("at_least")
    return bool((most is not None and value > most) or (least is not None and value < least))


def _limits(check: Mapping[str, Any]) -> str:
    limits = [
        f"{side.replace('_', ' ')} {check[side]:g}" for side in ("at_most", "at_least") if check.get(side) is not None
    ]
    return ", must be " + " and ".join(limits)


def _said(metric: str, name: str, found: Mapping[str, Any]) -> str:
    judged = [each for each in found["groups"] if each["judged"] and each.get("value") is not None]
    if found["value"] is None:
        return f"{metric} between the groups of {name} cannot be told"
    ranked = sorted(judged, key=lambda each: each["value"])
    ends = ""
    if len(ranked) >= 2:
        low, high = ranked[0], ranked[-1]
        ends = f" ({low['group']}: {low['value']:.4g}, {high['group']}: {high['value']:.4g})"
    return f"{metric} between the groups of {name} is {found['value']:.4g}{ends}"
