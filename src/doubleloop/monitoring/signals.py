"""Computing the signals of one run: load the windows, ask ``statistics``, judge against the file's thresholds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.db.context import Contexts
from doubleloop.monitoring import (
    custom,
    generation,
    model,
    model_signals,
    preparing,
    profile_signals,
    rules,
    truths,
    windows,
)
from doubleloop.specs.kinds import monitors as specs
from doubleloop.statistics import attribution, movements, pairs, signals

ACTOR = windows.ACTOR
LOG = logging.getLogger("doubleloop.monitoring")
Table = pairs.Source | pl.DataFrame
WHOLE = 0.9  # from this share of rows on nothing is said of those that were left out


def measure(contexts: Contexts, monitor: model.Monitor, run: model.MonitorRun) -> list[model.SignalResult]:
    """Every signal of the monitor. One that cannot be computed is not_checked with its reason; the others go on. Those
    whose data a component makes ready are not_checked until ``prepared`` looks at it.

    Raises Unavailable when the gateway (which holds the newest answers) does not answer.
    """
    task = windows.of_run(contexts, monitor, run)
    written = task.schedule.create_monitor.monitoring_signals
    if not written:
        written = specs.Monitor.model_validate({"monitoring_signals": specs.DEFAULT_SIGNALS}).monitoring_signals
    waiting = preparing.waiting(task.schedule)
    return [
        model.SignalResult(name, signal.type, "not_checked", "its data is not prepared") if name in waiting
        else _one(task, name, signal) for name, signal in (written or {}).items()
    ]  # fmt: skip


def prepared(task: windows.Task, ready: Mapping[str, Mapping[str, Any]]) -> list[model.SignalResult]:
    """The signals whose data was made ready, and those whose data could not be; ``ready`` is of ``preparing``."""
    preparing.replace(task, ready["data"])
    written = task.schedule.create_monitor.monitoring_signals
    failed = [model.SignalResult(name, written[name].type, "not_checked", why) for name, why in ready["failed"].items()]
    return failed + [_last(task, name, written[name]) for name in ready["data"] if written[name].type != custom.TYPE]


def _last(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    try:
        return _one(task, name, signal)
    except errors.Unavailable as error:
        return model.SignalResult(name, signal.type, "not_checked", error.what)


def _one(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    compute = {
        "data_drift": _data_drift, "prediction_drift": _prediction_drift, "data_quality": _data_quality,
        "model_performance": _performance, **model_signals.SIGNALS,
        "generation_token_statistics": generation.tokens, "generation_safety_quality": generation.quality,
    }.get(signal.type)  # fmt: skip
    if compute is None:
        return model.SignalResult(name, signal.type, "not_checked", f"{signal.type} is not computed yet")
    try:
        found = compute(task, name, signal)
        return found if found.reason else replace(found, reason=_undated(task, signal))
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        return model.SignalResult(name, signal.type, "not_checked", error.what)
    except Exception as error:  # data that nobody thought of: the other signals are not to be blind for it
        LOG.exception("The signal %s of monitor %s could not be computed", name, task.monitor.id)
        why = f"it could not be computed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return model.SignalResult(name, signal.type, "not_checked", why[:500])


def _undated(task: windows.Task, signal: Any) -> str:
    """Which data assets were looked at whole although the file asks for a window of them."""
    held = [getattr(signal, field, None) for field in ("production_data", "reference_data")]
    parts = [each for side in held for each in (side if isinstance(side, list) else [side])]
    return "; ".join(dict.fromkeys(filter(None, (windows.undated(task, each) for each in parts))))


def default(kind: str) -> dict[str, dict[str, float | None]]:
    chosen = next(each for each in specs.DEFAULT_SIGNALS.values() if each["type"] == kind)
    found: dict[str, dict[str, float | None]] = chosen["metric_thresholds"]
    return found


def _data_drift(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    if profile_signals.serve_drift(task, signal):
        return profile_signals.drift(task, name, signal, default(signal.type))
    if getattr(signal, "data_segment", None) is None and not hasattr(signal.features, "top_n_feature_importance"):
        return _compare(name, signal, *windows.pair(task, signal, windows.inputs, windows.by_column), "data_drift")
    reference, current, columns = windows.pair(task, signal, _part(signal))
    return _compare(
        name, signal, windows.segment(reference, signal), windows.segment(current, signal), columns, "data_drift"
    )


def _data_quality(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    if profile_signals.serve(signal):
        return profile_signals.quality(task, name, signal, default(signal.type))
    before, after, columns = windows.pair(task, signal, _part(signal))
    return _compare(name, signal, before, after, columns, "data_quality")


def _prediction_drift(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    known = windows.kinds_of_answers(task)
    if profile_signals.serve_drift(task, signal):
        return profile_signals.drift(task, name, signal, default(signal.type), known)
    reference, current, columns = windows.pair(task, signal, windows.outputs)
    if (said := _said(signal.production_data, "prediction")) is not None:
        current = _answers(current, said)
        reference = reference if rules.names_asset(signal.reference_data) else _answers(reference, said)
    if windows.PREDICTION in current.columns and windows.PREDICTION not in reference.columns:
        # Training data holds no predictions: what the model was trained to say stands for them.
        reference = windows.predicted(reference, profile_signals.answers(columns))
    return _compare(name, signal, reference, current, None, "prediction_drift", known)


def _said(part: Any, role: str) -> str | None:
    """The column that a file names as ``role`` of a part of its data."""
    named = part.data_column_names if part is not None else None
    found: str | None = getattr(named, role, None)
    return found


def _answers(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The named answers alone. Raises InvalidInput when they are not there."""
    if rows.is_empty() and column not in rows.columns:
        return rows
    if column not in rows.columns:
        raise errors.InvalidInput(
            f"The production data has no column '{column}', its prediction", cure=f"It has {_some(rows)}."
        )
    return rows.select(pl.col(column).alias(windows.PREDICTION))


def _part(signal: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What of the log a signal about inputs takes: with the answers, where these tell which features matter most."""
    ranks = hasattr(signal.features, "top_n_feature_importance") and not rules.names_asset(signal.reference_data)
    return partial(model_signals.with_answers, production=signal.production_data) if ranks else windows.inputs


def _features(
    signal: Any, reference: pairs.Source | pl.DataFrame, current: pairs.Source | pl.DataFrame, columns: Any
) -> list[str]:
    wanted = getattr(signal, "features", None)
    if isinstance(wanted, list):
        return wanted
    shared = [name for name in reference.schema if name in current.schema and name not in _no_features(signal)]
    if wanted is None or isinstance(wanted, str):
        return shared
    target = _target(signal, columns)
    if target not in reference.schema:
        raise errors.InvalidInput(
            "The most important features are those that explain the target of the reference data, and "
            + (f"it has no column '{target}'" if target else "none is named"),
            cure="Name data_column_names.target_column of the reference data, or the features.",
        )
    found = attribution.importances(reference, [name for name in shared if name != target], target)
    return sorted(found, key=lambda feature: (-found[feature], feature))[: wanted.top_n_feature_importance]


def _no_features(signal: Any) -> set[str | None]:
    """Columns that data assets hold beside features: what they name as truth, answer, probability or id."""
    parts = [each for each in (signal.production_data, signal.reference_data) if rules.names_asset(each)]
    if signal.type == "prediction_drift":
        return set()
    roles = ("target_column", "prediction", "prediction_probability", "correlation_id")
    return {_said(each, role) for each in parts for role in roles}


def _target(signal: Any, columns: Any) -> str:
    """What features are important for: the target that the file names, or what the model answered."""
    if not rules.names_asset(signal.reference_data):
        return windows.PREDICTION
    named = columns.target_column if columns is not None else None
    return named or signal.reference_data.target_column_name or ""


def _compare(
    name: str,
    signal: Any,
    reference: Table,
    current: Table,
    columns: Any,
    kind: str,
    known: dict[str, str] | None = None,
) -> model.SignalResult:
    if not current.height or not reference.height:
        side = "reference" if current.height else "production"
        return model.SignalResult(name, kind, "not_checked", f"the {side} window has no rows", reference.height,
                                  current.height)  # fmt: skip
    limits = rules.thresholds(signal.metric_thresholds, default(kind))
    features = _features(signal, reference, current, columns)
    if not features:
        why = f"no column is on both sides: {_some(reference)} before, {_some(current)} now"
        return model.SignalResult(name, kind, "not_checked", why, reference.height, current.height)
    overrides = {**(known or {}), **signal.feature_type_override}
    wanted = {group: list(metrics) for group, metrics in limits.items()}
    top = 0 if kind == "data_quality" else movements.TOP
    found, moved = movements.compare(wanted, reference, current, features, overrides, top)
    metrics = tuple(
        rules.measured(value, limits.get(value.kind.value if value.kind else "", {}).get(value.metric))
        for value in found
    )
    result = windows.result(
        name, kind, signal, metrics, reference.height, current.height, tuple(each.to_dict() for each in moved)
    )
    return result if result.reason else replace(result, reason=_left_out(found, reference.height, current.height))


def _left_out(found: Sequence[signals.Value], before: int, now: int) -> str:
    """How much of a side was compared, where rows that miss a feature made it much less than all."""
    looked = [each for each in found if each.value is not None and each.current_rows]
    if not looked:
        return ""
    sides = {"reference": min(each.reference_rows for each in looked) / before,
             "production": min(each.current_rows for each in looked) / now}  # fmt: skip
    return "; ".join(
        f"{share:.1%} of the {side} rows have all features: the others were left out"
        for side, share in sides.items() if share < WHOLE
    )  # fmt: skip


def _some(side: Table) -> str:
    names = list(side.schema)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _performance(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    rows, truth, predicted = _answered(task, signal)
    if rows.is_empty():
        return model.SignalResult(
            name, "model_performance", "not_checked", "no row of the window has its true value yet"
        )
    default: dict[str, dict[str, float | None]] = {"regression": {"rmse": None}, "classification": {"accuracy": None}}
    limits = windows.limits(task, signal, default)
    if predicted.dtype == pl.Boolean:  # labels hold true and false as 1 and 0
        predicted = predicted.cast(pl.Int64)
    metrics = tuple(
        rules.measured(signals.evaluate(metric, truth, predicted), threshold) for metric, threshold in limits.items()
    )
    return windows.result(name, "model_performance", signal, metrics, rows.height, rows.height, ())


def _answered(task: windows.Task, signal: Any) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
    """Rows whose truth is known, their true values and the answers: of the log, or of data assets."""
    parts = signal.production_data or []
    if any(rules.names_asset(each) for each in parts):
        rows = windows.segment(truths.joined(task, [*parts, signal.reference_data]), signal)
        truth, predicted = (truths.named(rows, [*parts, signal.reference_data], each) for each in
                            ("target_column", "prediction"))  # fmt: skip
        return rows, truth, predicted
    first = (parts or [None])[0]
    window = rules.production_window(first, task.schedule.trigger, task.run.as_of)
    rows = windows.segment(truths.of_log(task, window, signal.reference_data), signal, "in.")
    if rows.is_empty():
        return rows, pl.Series(), pl.Series()
    column = windows.answers(rows, first)
    return rows, windows.truth(rows, column), rows[column]
