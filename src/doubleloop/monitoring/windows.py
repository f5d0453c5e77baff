"""The rows that signals look at: windows of the inference log, true values that came, data assets that a file names."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import actors, clock, errors
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.endpoints import queries as endpoints
from doubleloop.frames import columnwise
from doubleloop.frames import reading as frames
from doubleloop.monitoring import commands, dated, model, rules
from doubleloop.specs import documents
from doubleloop.statistics import columns
from doubleloop.storage import ports as storage

ACTOR = actors.service("monitor")
PREDICTION = "prediction"


@dataclass(frozen=True)
class Task:
    """What every signal of a run needs."""

    contexts: Contexts
    monitor: model.Monitor
    schedule: Any
    run: model.MonitorRun


def of_run(contexts: Contexts, monitor: model.Monitor, run: model.MonitorRun) -> Task:
    return Task(contexts, monitor, documents.from_wire(monitor.document).model, run)


def log(task: Task, window: model.Window) -> pl.DataFrame:
    rows = endpoints.inferences(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, since=window.start, until=window.end
    ).filter(pl.col("status") == 200)
    there = sorted(rows["deployment"].unique().to_list())
    names = [name for name in there if rules.watches(task.monitor.deployment, name)]
    if there and not names:
        raise errors.InvalidInput(
            f"No deployment {task.monitor.deployment} of {task.monitor.endpoint} answered in the window; "
            f"{', '.join(there[:5])} did", cure="Name one of them in monitoring_target.",
        )  # fmt: skip
    return rows.filter(pl.col("deployment").is_in(names))


def inputs(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).alias(name.removeprefix("in.")) for name in rows.columns if name.startswith("in."))


def outputs(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.col(name).alias(name.removeprefix("out.")) for name in rows.columns if name.startswith("out.")
    )


def predicted(reference: pl.DataFrame, source: str) -> pl.DataFrame:
    """The column that stands for the predictions of reference data, under their name. Raises InvalidInput."""
    if source not in reference.columns:
        raise errors.InvalidInput(
            "The reference data has no predictions",
            cure="Name data_column_names.prediction or target_column of the reference data.",
        )
    return reference.select(pl.col(source).alias(PREDICTION))


def table(task: Task, signal_data: Any) -> pl.DataFrame:
    """A data asset that the file names as reference or production data."""
    return read(task, content(task, signal_data))


def content(task: Task, signal_data: Any) -> str:
    """What the asset holds, by hash; of a folder whose files are dated by their place, what is of the file's
    ``data_window``. Raises InvalidInput when none is."""
    whole = data.keep(task.contexts, ACTOR, task.monitor.workspace, signal_data.input_data.path)
    window = _asked(task, signal_data)
    chosen = _dated(task, whole, window) if window is not None else None
    if window is None or chosen is None:
        return whole
    if not chosen:
        raise errors.InvalidInput(
            f"No file of {signal_data.input_data.path} is of the window {clock.iso(window.start)} to "
            f"{clock.iso(window.end)}", cure="Name another data_window."
        )  # fmt: skip
    blobs = task.contexts.port(storage.Blobs)
    return f"tree:sha256:{blobs.put_entries(tuple(chosen)).sha256}"


def undated(task: Task, signal_data: Any) -> str:
    """Why a ``data_window`` of an asset means nothing; "" when it does, or is not asked for."""
    if not rules.names_asset(signal_data):
        return ""
    window, path = _asked(task, signal_data), signal_data.input_data.path
    if (
        window is None
        or _dated(task, data.keep(task.contexts, ACTOR, task.monitor.workspace, path), window) is not None
    ):
        return ""
    return f"all of {path} was looked at: its files are not dated by their place (2026/01/31), as data_window needs"


def _asked(task: Task, signal_data: Any) -> model.Window | None:
    """The window that the file itself asks for of an asset; a component that makes it ready has seen to that."""
    if not rules.windowed(signal_data) or signal_data.pre_processing_component:
        return None
    if signal_data.input_data.path.startswith(("tree:", "blob:")):
        return None
    signals = (task.schedule.create_monitor.monitoring_signals or {}).values()
    signal = next((each for each in signals if getattr(each, "reference_data", None) is signal_data), None)
    if signal is None:
        return rules.production_window(signal_data, task.schedule.trigger, task.run.as_of)
    production = signal.production_data[0] if isinstance(signal.production_data, list) else signal.production_data
    seen = rules.production_window(production, task.schedule.trigger, task.run.as_of)
    return rules.reference_window(signal_data, seen, task.schedule.trigger, task.run.as_of)


def _dated(task: Task, whole: str, window: model.Window) -> list[storage.Entry] | None:
    """The files of the window; None for what is no folder of dated files."""
    held, _, below = whole.removeprefix("tree:sha256:").partition("/")
    if not whole.startswith("tree:"):
        return None
    entries = [each for each in task.contexts.port(storage.Blobs).tree(held).entries if each.path.startswith(below)]
    tables = {each.path: each for each in entries if each.path.lower().endswith(frames.SUFFIXES)}
    listed = any(each.path.rpartition("/")[2] == "MLTable" for each in entries)  # it says itself which files are meant
    chosen = dated.within(tables, window) if tables and not listed else None
    return None if chosen is None else [tables[path] for path in chosen]


def read(task: Task, reference: str) -> pl.DataFrame:
    with tempfile.TemporaryDirectory(prefix="doubleloop-monitor-") as scratch:
        return frames.read(_laid(task, reference, Path(scratch)))


def _laid(task: Task, reference: str, scratch: Path) -> Path:
    name = reference.rpartition("/")[2] if "/" in reference else "data"
    return data.materialise(task.contexts, reference, scratch / name)


def by_column(task: Task, signal_data: Any) -> columnwise.Columns | pl.DataFrame:
    """The same as ``table``, of which columns are read when they are asked for, where its files allow that."""
    scratch = tempfile.TemporaryDirectory(prefix="doubleloop-monitor-")
    return columnwise.read(_laid(task, content(task, signal_data), Path(scratch.name)), scratch)


def production(task: Task, signal_data: Any) -> tuple[pl.DataFrame, model.Window]:
    window = rules.production_window(signal_data, task.schedule.trigger, task.run.as_of)
    return log(task, window), window


def segment(frame: pl.DataFrame, signal: Any, prefix: str = "") -> pl.DataFrame:
    segment = getattr(signal, "data_segment", None)
    if segment is None:
        return frame
    name = prefix + segment.feature_name
    if name not in frame.columns:
        raise errors.InvalidInput(f"The segment's column '{segment.feature_name}' is not in the data")
    wanted = [_label(each, frame[name].dtype) for each in segment.feature_values]
    held = frame.filter(columns.as_labels(frame[name]).is_in(wanted))
    if held.is_empty() and not frame.is_empty():
        raise errors.InvalidInput(f"No row is of the segment: {segment.feature_name} is never {' or '.join(wanted)}")
    return held


def _label(text: str, kind: pl.DataType) -> str:
    """A value of the file as the column's labels are written: 3 for 3.0, true for True."""
    if kind == pl.Boolean:
        return text.lower()
    try:
        return str(int(float(text))) if kind.is_numeric() and float(text).is_integer() else text
    except (ValueError, OverflowError):
        return text


def pair(
    task: Task, signal: Any, part: Callable[[pl.DataFrame], pl.DataFrame], asset: Callable[[Task, Any], Any] = table
) -> tuple[Any, Any, Any]:
    """Reference and production tables of one context (``part`` takes it out of the log, ``asset`` reads what the file
    names), and the reference columns."""
    window = rules.production_window(signal.production_data, task.schedule.trigger, task.run.as_of)
    named = rules.names_asset(signal.production_data)
    current = asset(task, signal.production_data) if named else part(log(task, window))
    reference = signal.reference_data
    if rules.names_asset(reference):
        return asset(task, reference), current, reference.data_column_names
    earlier = rules.reference_window(reference, window, task.schedule.trigger, task.run.as_of)
    return part(log(task, earlier)), current, None


def labelled(task: Task, window: model.Window) -> pl.DataFrame:
    """Answered rows of the window that have their true value, in ``label``. Of a regression, labels that are texts and
    no numbers are none, unless all of them are."""
    rows = commands.labelled_rows(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, window.start, window.end, task.monitor.deployment
    )
    if _written_task(task) != "regression" or rows.schema["label"] != pl.String:
        return rows
    numbers = rows.with_columns(pl.col("label").cast(pl.Float64, strict=False)).filter(pl.col("label").is_not_null())
    return rows if numbers.is_empty() else numbers


def truth(rows: pl.DataFrame, answers: str) -> pl.Series:
    """The true values as the answers write theirs: where these are true and false, texts that say so are 1 and 0."""
    told = rows["label"]
    if rows[answers].dtype != pl.Boolean or told.dtype != pl.String:
        return told
    return told.str.to_lowercase().replace({"true": "1", "false": "0"}).alias("label")


def answers(rows: pl.DataFrame, signal_data: Any) -> str:
    """The log's column of predictions. Raises InvalidInput when there is none."""
    names = signal_data.data_column_names if signal_data is not None else None
    column = f"out.{(names and names.prediction) or PREDICTION}"
    if column not in rows.columns:
        raise errors.InvalidInput(f"The model's answers have no column '{column.removeprefix('out.')}'")
    return column


def ml_task(task: Task, signal: Any = None) -> str:
    """What the file says that the model does; else what the signal's thresholds are of, or regression."""
    said = _written_task(task)
    groups = [each for each in ("classification", "regression") if _has(signal, each)]
    return said or (groups[0] if len(groups) == 1 else "regression")


def limits(task: Task, signal: Any, default: Mapping[str, dict[str, float | None]]) -> dict[str, float | None]:
    """Thresholds by metric, of what the model does. Raises InvalidInput when all that are written are of the other."""
    kind = ml_task(task, signal)
    found = rules.thresholds(signal.metric_thresholds, default)
    if not found.get(kind) and any(found.values()):
        raise errors.InvalidInput(
            f"The model does {kind}, and the thresholds are of {' and '.join(each for each in found if found[each])}",
            cure="Say ml_task in monitoring_target, or name thresholds of what it does.",
        )  # fmt: skip
    return found.get(kind, {})


def _written_task(task: Task) -> str:
    target = task.schedule.create_monitor.monitoring_target
    return str(target.ml_task) if target and target.ml_task else ""


def _has(signal: Any, group: str) -> bool:
    return getattr(getattr(signal, "metric_thresholds", None), group, None) is not None


def kinds_of_answers(task: Task) -> dict[str, str]:
    """Counts and prices are whole numbers of few values, yet a regression's answers are numbers, never categories."""
    target = task.schedule.create_monitor.monitoring_target
    return {PREDICTION: "numerical"} if target and target.ml_task == "regression" else {}


def result(
    name: str, kind: str, signal: Any, metrics: tuple[model.Measured, ...], reference: int, current: int,
    moved: tuple[dict[str, Any], ...],
) -> model.SignalResult:  # fmt: skip
    alerting = signal.alert_enabled and any(each.alert for each in metrics)
    unknown = [each for each in metrics if each.value is None]
    if not metrics:  # what nobody looked at is not well
        why = "no metric was computed: none is asked of a column of the kinds that the data has"
        return model.SignalResult(name, kind, "not_checked", why, reference, current, metrics, moved)
    if metrics and len(unknown) == len(metrics):
        return model.SignalResult(name, kind, "not_checked", unknown[0].reason, reference, current, metrics, moved)
    return model.SignalResult(name, kind, "alert" if alerting else "ok", "", reference, current, metrics, moved)
