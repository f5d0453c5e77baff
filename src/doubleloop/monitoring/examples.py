"""The worst examples that a signal saw: which request and row of the inference log each is, so that a person can look
at what was really asked, and have it labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from doubleloop.base import actors, clock, errors
from doubleloop.db.context import Contexts
from doubleloop.endpoints import queries as endpoints
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.monitoring import model, queries
from doubleloop.statistics import embeddings, samples

KEPT = 20
# Beside the columns of a part of the log: no input or answer can have these names.
REQUEST, ROW, TIME = "\0request", "\0row", "\0time"
Part = Callable[[pl.DataFrame], pl.DataFrame]


def identified(part: Part) -> Part:
    """``part``, and which request, row and time of the log each row is."""

    def taken(rows: pl.DataFrame) -> pl.DataFrame:
        said = rows.select(pl.col("request_id").alias(REQUEST), pl.col("row").alias(ROW), pl.col("time").alias(TIME))
        return pl.concat([part(rows), said.cast({REQUEST: pl.String})], how="horizontal")

    return taken


def worst(
    column: str, reference: Any, current: Any, rows: pl.DataFrame, unit: str = "deviations"
) -> tuple[dict[str, Any], ...]:
    """The rows of ``current`` (a matrix) that lie farthest from the reference; ``rows`` says which each is.

    Each ``{"request", "row", "time", "column", "distance", "sentence"}``; ``request`` is "" in data that is no log.
    """
    found = embeddings.farthest(reference, current, KEPT)
    return tuple(_example(column, rows.row(at, named=True), at, distance, unit) for at, distance in found)


def _example(column: str, row: dict[str, Any], at: int, distance: float, unit: str) -> dict[str, Any]:
    request, number = str(row.get(REQUEST) or ""), int(row.get(ROW) or 0)
    name = f"{request} row {number}" if request else f"row {at}"
    return {
        "request": request, "row": number if request else at,
        "time": clock.iso(row[TIME]) if request and row.get(TIME) is not None else "", "column": column,
        "distance": distance,
        "sentence": f"{column + ' of ' if column else ''}{name} is {distance:.3g} {unit} from the nearest of the "
        "reference",
    }  # fmt: skip


def scaled(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[Any, Any]:
    """Numbers of both sides in deviations of the reference; what is missing is 0."""
    one, two = (each.cast(pl.Float64).fill_null(0).fill_nan(0).to_numpy() for each in (reference, current))
    spread = np.maximum(one.std(axis=0), samples.LEAST_NORM)
    return one / spread, two / spread


def of_run(run: model.MonitorRun, signal: str) -> Sequence[dict[str, Any]]:
    found = next((each for each in run.signals if each["signal"] == signal), {})
    return list(found.get("examples") or ())


def look(contexts: Contexts, actor: actors.Actor, workspace: str, run: str, signal: str, number: int) -> dict[str, Any]:
    """An example with its ``inputs`` and ``outputs``, as the inference log has them: that it was seen is on record.

    Raises NotPermitted for who may not read the endpoint, NotFound for one that is not kept or logged any more.
    """
    with contexts.read(actor, workspace) as ctx:
        found = queries.run(ctx, run)
        monitor = queries.get(ctx, found.monitor)
        identity.permit(ctx, Action.ENDPOINT_READ, resource=f"endpoint/{monitor.endpoint}")
    kept = of_run(found, signal)
    if not 0 <= number < len(kept) or not kept[number]["request"]:
        raise errors.NotFound(f"Signal {signal} of run {run} kept no example {number} of the inference log")
    example = kept[number]
    row = _logged(contexts, monitor, example)
    with contexts.write(actor, workspace) as ctx:
        place = f"endpoint:{workspace}/{monitor.endpoint}"
        events.record(ctx, "inference.read", f"request:{example['request']}", endpoint=place)
    return {**example, "inputs": _values(row, "in."), "outputs": _values(row, "out.")}


def _logged(contexts: Contexts, monitor: model.Monitor, example: dict[str, Any]) -> dict[str, Any]:
    at: datetime = clock.parse(example["time"])
    around = timedelta(seconds=1)
    rows = endpoints.inferences(contexts, monitor.workspace, monitor.endpoint, since=at - around, until=at + around)
    rows = rows.filter((pl.col("request_id") == example["request"]) & (pl.col("row") == example["row"]))
    if rows.is_empty():
        raise errors.NotFound(f"Request {example['request']} is not in the inference log any more")
    return rows.row(0, named=True)


def _values(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
