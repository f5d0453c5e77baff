"""Computing the signals of one run: load the windows, ask ``statistics``, judge against the file's thresholds."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, errors
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.endpoints import queries as endpoints
from doubleloop.frames import reading as frames
from doubleloop.monitoring import commands, model, rules
from doubleloop.specs import documents
from doubleloop.specs.kinds import monitors as specs
from doubleloop.statistics import movements, schema, signals

ACTOR = actors.service("monitor")
PREDICTION = "prediction"


@dataclass(frozen=True)
class Task:
    """What every signal of a run needs."""

    contexts: Contexts
    monitor: model.Monitor
    schedule: Any
    run: model.MonitorRun


def measure(contexts: Contexts, monitor: model.Monitor, run: model.MonitorRun) -> list[model.SignalResult]:
    """Every signal of the monitor. One that cannot be computed is not_checked with its reason; the others go on.

    Raises Unavailable when the gateway (which holds the newest answers) does not answer.
    """
    schedule = documents.from_wire(monitor.document).model
    written = schedule.create_monitor.monitoring_signals
    if written is None:
        written = specs.Monitor.model_validate({"monitoring_signals": specs.DEFAULT_SIGNALS}).monitoring_signals
    task = Task(contexts, monitor, schedule, run)
    return [_one(task, name, signal) for name, signal in (written or {}).items()]


def _one(task: Task, name: str, signal: Any) -> model.SignalResult:
    compute = {
        "data_drift": _data_drift, "prediction_drift": _prediction_drift, "data_quality": _data_quality,
        "model_performance": _performance,
    }.get(signal.type)  # fmt: skip
    if compute is None:
        return model.SignalResult(name, signal.type, "not_checked", f"{signal.type} is not computed yet")
    try:
        return compute(task, name, signal)
    except errors.Unavailable:
        raise
    except errors.DoubleloopError as error:
        return model.SignalResult(name, signal.type, "not_checked", error.what)


def _default(kind: str) -> dict[str, dict[str, float | None]]:
    chosen = next(each for each in specs.DEFAULT_SIGNALS.values() if each["type"] == kind)
    found: dict[str, dict[str, float | None]] = chosen["metric_thresholds"]
    return found


def _log(task: Task, window: model.Window) -> pl.DataFrame:
    rows = endpoints.inferences(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, since=window.start, until=window.end
    ).filter(pl.col("status") == 200)
    names = [name for name in rows["deployment"].unique().to_list() if rules.watches(task.monitor.deployment, name)]
    return rows.filter(pl.col("deployment").is_in(names))


def _inputs(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).alias(name.removeprefix("in.")) for name in rows.columns if name.startswith("in."))


def _outputs(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.col(name).alias(name.removeprefix("out.")) for name in rows.columns if name.startswith("out.")
    )


def _table(task: Task, signal_data: Any) -> pl.DataFrame:
    """A data asset that the file names as reference or production data."""
    reference = data.keep(task.contexts, ACTOR, task.monitor.workspace, signal_data.input_data.path)
    with tempfile.TemporaryDirectory(prefix="doubleloop-monitor-") as scratch:
        name = reference.rpartition("/")[2] if "/" in reference else "data"
        return frames.read(data.materialise(task.contexts, reference, Path(scratch) / name))


def _production(task: Task, signal_data: Any) -> tuple[pl.DataFrame, model.Window]:
    window = rules.production_window(signal_data, task.schedule.trigger, task.run.as_of)
    return _log(task, window), window


def _segment(frame: pl.DataFrame, signal: Any, prefix: str = "") -> pl.DataFrame:
    segment = getattr(signal, "data_segment", None)
    if segment is None:
        return frame
    name = prefix + segment.feature_name
    if name not in frame.columns:
        raise errors.InvalidInput(f"The segment's column '{segment.feature_name}' is not in the data")
    return frame.filter(pl.col(name).cast(pl.String).is_in(list(segment.feature_values)))


def _pair(task: Task, signal: Any, part: Any) -> tuple[pl.DataFrame, pl.DataFrame, Any]:
    """Reference and production tables of one context (``part`` takes it out of the log), and the reference columns."""
    log, window = _production(task, signal.production_data)
    if signal.production_data is not None and signal.production_data.input_data is not None:
        current = _table(task, signal.production_data) if _is_asset(signal.production_data) else part(log)
    else:
        current = part(log)
    reference = signal.reference_data
    if reference is not None and reference.input_data is not None and _is_asset(reference):
        return _table(task, reference), current, reference.data_column_names
    earlier = rules.reference_window(reference, window, task.schedule.trigger, task.run.as_of)
    return part(_log(task, earlier)), current, None


def _is_asset(signal_data: Any) -> bool:
    """Azure's files name the collected log itself as an asset (``azureml:endpoint-deployment-model_inputs:1``)."""
    path = signal_data.input_data.path
    return not any(path.split(":")[1:2] and path.split(":")[1].endswith(end) for end in
                   ("-model_inputs", "-model_outputs", "-model_inputs_outputs"))  # fmt: skip


def _data_drift(task: Task, name: str, signal: Any) -> model.SignalResult:
    reference, current, columns = _pair(task, signal, _inputs)
    return _compare(name, signal, _segment(reference, signal), _segment(current, signal), columns, "data_drift")


def _data_quality(task: Task, name: str, signal: Any) -> model.SignalResult:
    reference, current, columns = _pair(task, signal, _inputs)
    return _compare(name, signal, reference, current, columns, "data_quality")


def _prediction_drift(task: Task, name: str, signal: Any) -> model.SignalResult:
    reference, current, columns = _pair(task, signal, _outputs)
    if PREDICTION in current.columns and PREDICTION not in reference.columns:
        # Training data holds no predictions: what the model was trained to say stands for them.
        source = columns and (columns.prediction or columns.target_column)
        if not source or source not in reference.columns:
            raise errors.InvalidInput(
                "The reference data has no predictions",
                cure="Name data_column_names.prediction or target_column of the reference data.",
            )
        reference = reference.select(pl.col(source).alias(PREDICTION))
    target = task.schedule.create_monitor.monitoring_target
    # Counts and prices are whole numbers of few values, yet a regression's answers are numbers, never categories.
    known = {PREDICTION: "numerical"} if target and target.ml_task == "regression" else {}
    return _compare(name, signal, reference, current, None, "prediction_drift", known)


def _features(signal: Any, reference: pl.DataFrame, current: pl.DataFrame, columns: Any) -> list[str]:
    wanted = getattr(signal, "features", None)
    if isinstance(wanted, list):
        return wanted
    shared = [name for name in reference.columns if name in current.columns]
    target = columns.target_column if columns is not None else None
    if wanted is None or isinstance(wanted, str) or target is None or target not in reference.columns:
        return shared
    found = rules.importances(reference, [name for name in shared if name != target], target)
    return sorted(found, key=lambda feature: (-found[feature], feature))[: wanted.top_n_feature_importance]


def _compare(
    name: str,
    signal: Any,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    columns: Any,
    kind: str,
    known: dict[str, str] | None = None,
) -> model.SignalResult:
    if current.is_empty() or reference.is_empty():
        side = "production" if current.is_empty() else "reference"
        return model.SignalResult(name, kind, "not_checked", f"the {side} window has no rows", reference.height,
                                  current.height)  # fmt: skip
    limits = rules.thresholds(signal.metric_thresholds, _default(kind))
    features = _features(signal, reference, current, columns)
    overrides = {**(known or {}), **signal.feature_type_override}
    found = signals.evaluate_table(
        {group: list(metrics) for group, metrics in limits.items()}, reference, current, features, overrides
    )
    metrics = tuple(
        rules.measured(value, limits.get(value.kind.value if value.kind else "", {}).get(value.metric))
        for value in found
    )
    moved: tuple[dict[str, Any], ...] = ()
    if kind != "data_quality":
        kinds = {each: about.kind for each, about in schema.describe(reference, overrides).items() if each in features}
        moved = tuple(each.to_dict() for each in movements.most_moved(reference, current, kinds))
    return _result(name, kind, signal, metrics, reference.height, current.height, moved)


def _performance(task: Task, name: str, signal: Any) -> model.SignalResult:
    first = (signal.production_data or [None])[0]
    window = rules.production_window(first, task.schedule.trigger, task.run.as_of)
    rows = commands.labelled_rows(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, window.start, window.end, task.monitor.deployment
    )
    rows = _segment(rows, signal, "in.")
    if rows.is_empty():
        return model.SignalResult(
            name, "model_performance", "not_checked", "no row of the window has its true value yet"
        )
    column = (first and first.data_column_names and first.data_column_names.prediction) or PREDICTION
    if f"out.{column}" not in rows.columns:
        raise errors.InvalidInput(f"The model's answers have no column '{column}'")
    target = task.schedule.create_monitor.monitoring_target
    task_kind = target.ml_task if target and target.ml_task else "regression"
    default: dict[str, dict[str, float | None]] = {"regression": {"rmse": None}, "classification": {"accuracy": None}}
    limits = rules.thresholds(signal.metric_thresholds, default).get(task_kind, {})
    predicted, truth = rows[f"out.{column}"], rows["label"]
    if predicted.dtype == pl.Boolean:  # labels hold true and false as 1 and 0
        predicted = predicted.cast(pl.Int64)
    metrics = tuple(
        rules.measured(signals.evaluate(metric, truth, predicted), threshold) for metric, threshold in limits.items()
    )
    return _result(name, "model_performance", signal, metrics, rows.height, rows.height, ())


def _result(
    name: str, kind: str, signal: Any, metrics: tuple[model.Measured, ...], reference: int, current: int,
    moved: tuple[dict[str, Any], ...],
) -> model.SignalResult:  # fmt: skip
    alerting = signal.alert_enabled and any(each.alert for each in metrics)
    unknown = [each for each in metrics if each.value is None]
    if metrics and len(unknown) == len(metrics):
        return model.SignalResult(name, kind, "not_checked", unknown[0].reason, reference, current, metrics, moved)
    return model.SignalResult(name, kind, "alert" if alerting else "ok", "", reference, current, metrics, moved)
