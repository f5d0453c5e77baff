"""Custom signals: a registered component runs as a job over the window, and says its metrics in a table.

Its output ``signal_output`` holds rows of ``metric_name`` and ``metric_value``, and where there are any ``group`` and
``threshold_value`` (Azure's schema). The job runs in the name of who made the monitor: nobody starts work through a
monitor that they could not start themselves. Its id follows from the run and the signal, so a repetition finds it.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors, ids
from doubleloop.components import queries as components
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.frames import reading as frames
from doubleloop.jobs import commands as job_commands
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.monitoring import model, rules, windows
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.storage import ports as storage

TYPE = "custom"
STEP, OUTPUT = "signal", "signal_output"
LOOK_S = 60.0
EXPERIMENT = "monitoring"
_TABLE = "type: mltable\npaths:\n  - file: ./data.parquet\ntransformations:\n  - read_parquet\n"


def names(task: windows.Task) -> list[str]:
    """The monitor's custom signals."""
    written = task.schedule.create_monitor.monitoring_signals or {}
    return [name for name, signal in written.items() if signal.type == TYPE]


def begin(task: windows.Task, notify: str) -> dict[str, dict[str, str]]:
    """Starts the job of each custom signal: ``{signal: {"job"} or {"reason"}}``. The rows of the log that it asks for
    are stored before."""
    found = {}
    for name in names(task):
        signal = task.schedule.create_monitor.monitoring_signals[name]
        try:
            found[name] = {"job": _submit(task, name, signal, notify)}
        except errors.DoubleloopError as error:
            found[name] = {"reason": f"its component could not be started: {error.what}"}
    return found


def look(contexts: Contexts, begun: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """``{"topic", "wait"}`` of a job that has not ended, or nothing when all have."""
    with contexts.read(windows.ACTOR) as ctx:
        for each in begun.values():
            job = jobs.get(ctx, each["job"]) if "job" in each else None
            if job is not None and job.status not in job_model.ENDED:
                return {"topic": f"job:{job.id}", "wait": LOOK_S}
    return {}


def results(task: windows.Task, begun: Mapping[str, Mapping[str, str]]) -> list[model.SignalResult]:
    """What the jobs said, judged against the file's thresholds."""
    signals = task.schedule.create_monitor.monitoring_signals
    return [_result(task, name, signals[name], each) for name, each in begun.items()]


def _submit(task: windows.Task, name: str, signal: Any, notify: str) -> str:
    monitor = task.monitor
    with task.contexts.read(windows.ACTOR, monitor.workspace) as ctx:
        declared = components.document(components.resolve(ctx, signal.component_id)).spec().get("inputs", {})
    inputs = {**_said(task, name, signal, declared), **specs.plain(signal).get("inputs", {}), **_given(task, signal)}
    unknown = sorted(set(inputs) - set(declared))
    if unknown:
        raise errors.InvalidInput(f"the component has no input {', '.join(map(repr, unknown))}")
    document = documents.from_model("pipeline_job", {
        "type": "pipeline", "display_name": f"{monitor.name}: {name}", "experiment_name": EXPERIMENT,
        "jobs": {STEP: {"type": "command", "component": signal.component_id, "inputs": inputs}},
    }, file=f"monitor {monitor.name}")  # fmt: skip
    with task.contexts.write(windows.ACTOR, monitor.workspace) as ctx:
        document = components.inlined(ctx, document)  # to watch with a component, nobody has to be able to read it
        ctx = ctx.acting_as(actors.named(monitor.created_by))
        job = job_commands.submit(
            ctx, document, id=ids.derived(f"{task.run.id[:60]}-custom", task.run.id, name), notify=notify,
            purpose={"monitor": monitor.name, "run": task.run.id, "signal": name}, force_rerun=True,
        )  # fmt: skip
    return job.id


def _said(task: windows.Task, name: str, signal: Any, declared: Mapping[str, Any]) -> dict[str, Any]:
    """What Azure gives a component whose inputs ask for it: the window, the signal's name, thresholds by metric."""
    window = rules.production_window(_first(signal), task.schedule.trigger, task.run.as_of)
    known: dict[str, Any] = {
        "data_window_start": clock.iso(window.start), "data_window_end": clock.iso(window.end), "signal_name": name,
        "monitor_name": task.monitor.name, "monitor_run_id": task.run.id, "workspace_name": task.monitor.workspace,
    }  # fmt: skip
    for limit in signal.metric_thresholds or []:
        if limit.threshold is not None:
            known[f"{limit.metric_name}_threshold"] = limit.threshold
    return {key: value for key, value in known.items() if key in declared}


def _first(signal: Any) -> Any:
    return next(iter(signal.input_data.values()), None)


def _given(task: windows.Task, signal: Any) -> dict[str, Any]:
    return {name: _data(task, each) for name, each in signal.input_data.items()}


def _data(task: windows.Task, each: Any) -> dict[str, Any]:
    type_ = (each.input_data and each.input_data.type) or "mltable"
    if each.input_data is not None and windows.is_asset(each):
        return {"type": type_, "path": each.input_data.path}
    window = rules.production_window(each, task.schedule.trigger, task.run.as_of)
    rows = windows.log(task, window)
    part = {"model_inputs": windows.inputs, "model_outputs": windows.outputs}.get(each.data_context or "")
    content = io.BytesIO()
    (part(rows) if part else _both(rows)).write_parquet(content)
    blobs = task.contexts.port(storage.Blobs)
    if type_ == "uri_file":
        return {"type": type_, "path": data.store_bytes(blobs, "data.parquet", content.getvalue())}
    held = {"data.parquet": content.getvalue(), **({"MLTable": _TABLE.encode()} if type_ == "mltable" else {})}
    entries = tuple(storage.Entry(name, blobs.put_bytes(body), len(body)) for name, body in sorted(held.items()))
    return {"type": type_, "path": f"tree:sha256:{blobs.put_entries(entries).sha256}"}


def _both(rows: pl.DataFrame) -> pl.DataFrame:
    """Inputs and answers side by side, with what joins them to true values."""
    sides = windows.inputs(rows), windows.outputs(rows)
    taken = set(sides[0].columns)
    answers = sides[1].rename({name: f"output.{name}" for name in sides[1].columns if name in taken})
    return pl.concat([rows.select("request_id", "row", "time"), sides[0], answers], how="horizontal")


def _result(task: windows.Task, name: str, signal: Any, begun: Mapping[str, str]) -> model.SignalResult:
    def unknown(reason: str) -> model.SignalResult:
        return model.SignalResult(name, TYPE, "not_checked", reason)

    if "job" not in begun:
        return unknown(begun["reason"])
    with task.contexts.read(windows.ACTOR, task.monitor.workspace) as ctx:
        job = jobs.get(ctx, begun["job"])
        step = jobs.step(ctx, begun["job"], STEP) if job is not None else None
    if job is None or step is None:
        return unknown(f"job {begun['job']} is gone")
    if job.status is not job_model.Status.COMPLETED:
        return unknown(f"job {job.id} is {job.status}: {job.error or 'no reason given'}")
    if OUTPUT not in step.outputs:
        return unknown(f"the component has no output {OUTPUT}; it has {', '.join(step.outputs) or 'none'}")
    try:
        table = _read(task, str(step.outputs[OUTPUT]["reference"]))
        metrics = tuple(_measured(signal, row) for row in table.iter_rows(named=True) if _wanted(signal, row))
    except errors.DoubleloopError as error:
        return unknown(error.what)
    missing = sorted({each.metric_name for each in signal.metric_thresholds or []} - {each.metric for each in metrics})
    if missing or not metrics:
        return unknown(f"job {job.id} said nothing of {', '.join(missing) or 'any metric'}")
    return windows.result(name, TYPE, signal, metrics, 0, 0, ())


def _read(task: windows.Task, reference: str) -> pl.DataFrame:
    with tempfile.TemporaryDirectory(prefix="doubleloop-monitor-") as scratch:
        table = frames.read(data.materialise(task.contexts, reference, Path(scratch) / reference.rpartition("/")[2]))
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
