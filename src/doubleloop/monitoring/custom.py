"""Custom signals: a registered component runs as a job over the window, and says its metrics in a table.

Its output ``signal_output`` holds rows of ``metric_name`` and ``metric_value``, and where there are any ``group`` and
``threshold_value`` (Azure's schema).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.monitoring import component_jobs, model, rules, windows
from doubleloop.specs import model as specs

TYPE = "custom"
STEP, OUTPUT = "signal", "signal_output"


def names(task: windows.Task) -> list[str]:
    """The monitor's custom signals."""
    written = task.schedule.create_monitor.monitoring_signals or {}
    return [name for name, signal in written.items() if signal.type == TYPE]


def begin(task: windows.Task, notify: str, failed: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Starts the job of each custom signal but those that ``failed`` to get their data: ``{signal: {"job"} or
    {"reason"}}``. The rows of the log that it asks for are stored before."""
    found = {name: {"reason": reason} for name, reason in failed.items() if name in names(task)}
    for name in names(task):
        if name in found:
            continue
        signal = task.schedule.create_monitor.monitoring_signals[name]
        try:
            found[name] = {"job": _submit(task, name, signal, notify)}
        except errors.DoubleloopError as error:
            found[name] = {"reason": f"its component could not be started: {error.what}"}
    return found


def results(task: windows.Task, begun: Mapping[str, Mapping[str, str]]) -> list[model.SignalResult]:
    """What the jobs said, judged against the file's thresholds."""
    signals = task.schedule.create_monitor.monitoring_signals
    return [_result(task, name, signals[name], each) for name, each in begun.items()]


def _submit(task: windows.Task, name: str, signal: Any, notify: str) -> str:
    declared = component_jobs.declared(task, signal.component_id)
    data = {each: _data(task, held) for each, held in signal.input_data.items()}
    inputs = {**_said(task, name, signal, declared), **specs.plain(signal).get("inputs", {}), **data}
    unknown = sorted(set(inputs) - set(declared))
    if unknown:
        raise errors.InvalidInput(f"the component has no input {', '.join(map(repr, unknown))}")
    return component_jobs.submit(
        task, signal.component_id, inputs, step=STEP, id=component_jobs.id_of(task, "custom", name), notify=notify,
        title=name, purpose={"signal": name},
    )  # fmt: skip


def _said(task: windows.Task, name: str, signal: Any, declared: Mapping[str, Any]) -> dict[str, Any]:
    """What Azure gives a component whose inputs ask for it: the window, the signal's name, thresholds by metric."""
    first = next(iter(signal.input_data.values()), None)
    known = component_jobs.told(task, _window(task, first), name)
    for limit in signal.metric_thresholds or []:
        if limit.threshold is not None:
            known[f"{limit.metric_name}_threshold"] = limit.threshold
    return {key: value for key, value in known.items() if key in declared}


def _window(task: windows.Task, each: Any) -> model.Window:
    return rules.production_window(each, task.schedule.trigger, task.run.as_of)


def _data(task: windows.Task, each: Any) -> dict[str, Any]:
    kind = (each.input_data and each.input_data.type) or "mltable"
    return component_jobs.given(task, each, _window(task, each), kind)


def _result(task: windows.Task, name: str, signal: Any, begun: Mapping[str, str]) -> model.SignalResult:
    def unknown(reason: str) -> model.SignalResult:
        return model.SignalResult(name, TYPE, "not_checked", reason)

    if "job" not in begun:
        return unknown(begun["reason"])
    try:
        table = _read(task, component_jobs.output(task, begun["job"], STEP, [OUTPUT]))
        metrics = tuple(_measured(signal, row) for row in table.iter_rows(named=True) if _wanted(signal, row))
    except errors.DoubleloopError as error:
        return unknown(error.what)
    missing = sorted({each.metric_name for each in signal.metric_thresholds or []} - {each.metric for each in metrics})
    if missing or not metrics:
        return unknown(f"job {begun['job']} said nothing of {', '.join(missing) or 'any metric'}")
    return windows.result(name, TYPE, signal, metrics, 0, 0, ())


def _read(task: windows.Task, reference: str) -> pl.DataFrame:
    table = windows.read(task, reference)
    missing = {"metric_name", "metric_value"} - set(table.columns)
    if missing:
        raise errors.InvalidInput(
            f"{OUTPUT} has no column {', '.join(sorted(missing))}", cure="Write a row for each metric."
        )
    return table


def _wanted(signal: Any, row: Mapping[str, Any]) -> bool:
    """Every metric when the file names none."""
    limits = signal.metric_thresholds
    return not limits or any(each.metric_name == row["metric_name"] for each in limits)


def _measured(signal: Any, row: Mapping[str, Any]) -> model.Measured:
    named = [each for each in signal.metric_thresholds or [] if each.metric_name == row["metric_name"]]
    limit = named[0].threshold if named and named[0].threshold is not None else _number(row.get("threshold_value"))
    value = _number(row["metric_value"])
    group = str(row["group"]) if row.get("group") is not None else ""
    reason = "" if value is not None else "the component gave no number"
    alert = value is not None and limit is not None and value > limit
    return model.Measured(str(row["metric_name"]), group, value, limit, alert, reason)


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
