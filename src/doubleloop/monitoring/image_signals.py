"""Drift of images: of what the endpoint was sent against a data asset (a table, or a folder of image files), or against
what it was sent before. The images that are least like the reference are named, for people to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from doubleloop.base import clock, errors
from doubleloop.data import commands as data
from doubleloop.frames import pictures
from doubleloop.frames import reading as frames
from doubleloop.monitoring import examples, model, rules, windows
from doubleloop.statistics import embeddings, images, samples, signals

DEFAULT: dict[str, dict[str, float | None]] = {"numerical": {"normalized_wasserstein_distance": 0.2}}
SHOWN = 5
# Where a picture comes from: its request and row, or its file.
_ID = "request"


def drift(task: windows.Task, name: str, signal: Any) -> model.SignalResult:
    """``column`` of a value is ``feature.what`` (``photo.brightness``)."""
    production = signal.production_data
    brought = rules.names_asset(production)
    log, window = windows.production(task, production)
    reference = signal.reference_data
    asset = rules.names_asset(reference)
    earlier = rules.reference_window(reference, window, task.schedule.trigger, task.run.as_of)
    limits = rules.thresholds(signal.metric_thresholds, DEFAULT)
    unreadable = getattr(signal.metric_thresholds, "unreadable_rate", None)
    after = _logged(log)
    before = None if asset else _logged(windows.log(task, earlier))
    values: list[signals.Value] = []
    moved: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    before_rows, after_rows = 0, 0
    for feature in signal.features:
        known = _asset(task, reference, feature) if asset else _described(before, feature)
        current = _asset(task, production, feature) if brought else _described(after, feature)
        before_rows, after_rows = max(before_rows, known.height), max(after_rows, current.height)
        if unreadable is not None and current.height:
            values.append(_unreadable(feature, current, known.height))
        found, worst = _compared(feature, known.drop_nulls(), current.drop_nulls(), list(limits.get("numerical", {})))
        values += found
        moved += worst
        kept += [_example(each, log) for each in worst] if not brought else []
    if not (before_rows and after_rows):
        reason = f"the {'reference' if after_rows else 'production'} window has no images"
        return model.SignalResult(name, signal.type, "not_checked", reason, before_rows, after_rows)
    if not values:
        return model.SignalResult(name, signal.type, "not_checked", "no image could be read", before_rows, after_rows)
    measured = tuple(
        rules.measured(each, unreadable if each.metric == "unreadable_rate" else limits["numerical"].get(each.metric))
        for each in values
    )
    shown = [each for feature in signal.features for each in [at for at in moved if at["column"] == feature][:SHOWN]]
    judged = windows.result(name, signal.type, signal, measured, before_rows, after_rows, tuple(shown))
    return replace(judged, examples=tuple(sorted(kept, key=lambda each: -each["distance"])[: examples.KEPT]))


def _example(worst: dict[str, Any], log: pl.DataFrame) -> dict[str, Any]:
    """One that is kept, by its request and row."""
    request, _, number = worst["after"][_ID].rpartition(" row ")
    found = log.filter((pl.col("request_id") == request) & (pl.col("row") == int(number)))
    return {
        "request": request, "row": int(number), "time": clock.iso(found["time"][0]), "column": worst["column"],
        "distance": worst["distance"], "sentence": worst["sentence"],
    }  # fmt: skip


def _compared(
    feature: str, known: pl.DataFrame, current: pl.DataFrame, metrics: list[str]
) -> tuple[list[signals.Value], list[dict[str, Any]]]:
    """The drift of each number, and the images that are least like the reference."""
    if known.is_empty() or current.is_empty():
        return [], []
    named = [pl.col(what).alias(f"{feature}.{what}") for what in images.COLUMNS]
    one, two = known.select(named), current.select(named)
    kinds = dict.fromkeys(one.columns, "numerical")
    return signals.evaluate_table({"numerical": metrics}, one, two, None, kinds), _worst(feature, known, current)


def _logged(rows: pl.DataFrame) -> pl.DataFrame:
    """Inputs of the log, and which request and row each is."""
    where = pl.concat_str(pl.col("request_id"), pl.lit(" row "), pl.col("row")).alias(_ID)
    return windows.inputs(rows).with_columns(rows.select(where)[_ID])


def _asset(task: windows.Task, reference: Any, feature: str) -> pl.DataFrame:
    content = windows.content(task, reference)
    with tempfile.TemporaryDirectory(prefix="doubleloop-images-") as scratch:
        name = content.rpartition("/")[2] if "/" in content else "data"
        path = data.materialise(task.contexts, content, Path(scratch) / name)
        found = pictures.files(path) if path.is_dir() else []
        if found:
            return _rows((each.read_bytes() for each in found), [each.name for each in found])
        table = frames.read(path)
        return _described(table.with_row_index(_ID).cast({_ID: pl.String}), feature)


def _described(table: pl.DataFrame | None, feature: str) -> pl.DataFrame:
    assert table is not None
    if table.is_empty():
        return _rows((), [])
    if feature not in table.columns:
        raise errors.InvalidInput(f"The images' column '{feature}' is not in the data")
    held = table.filter(pl.col(feature).is_not_null())
    return _rows(held[feature], held[_ID].to_list())


def _rows(values: Iterable[Any], names: list[str]) -> pl.DataFrame:
    """What each image is like; nulls for one that cannot be read."""
    found = []
    for value in values:
        try:
            found.append(images.describe([pictures.decode(value)]).row(0, named=True))
        except errors.DoubleloopError:
            found.append(dict.fromkeys(images.COLUMNS))
    described = pl.DataFrame(found, schema=dict.fromkeys(images.COLUMNS, pl.Float64))
    return described.with_columns(pl.Series(_ID, names, dtype=pl.String))


def _unreadable(feature: str, current: pl.DataFrame, reference: int) -> signals.Value:
    broken = current[images.COLUMNS[0]].null_count()
    return signals.Value(
        "unreadable_rate", broken / current.height, feature, reference_rows=reference, current_rows=current.height
    )


def _worst(feature: str, reference: pl.DataFrame, current: pl.DataFrame) -> list[dict[str, Any]]:
    one, two = (each.select(images.COLUMNS).to_numpy() for each in (reference, current))
    spread = np.maximum(one.std(axis=0), samples.LEAST_NORM)
    found = embeddings.farthest(one / spread, two / spread, examples.KEPT)
    return [
        {"column": feature, "distance": distance, "before": {},
         "after": {"request": current[_ID][at], **{what: current[what][at] for what in images.COLUMNS}},
         "sentence": f"{feature} of {current[_ID][at]} is {distance:.3g} deviations from the nearest reference images"}
        for at, distance in found
    ]  # fmt: skip
