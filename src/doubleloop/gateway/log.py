"""Reading the inference log and the labels. Sees what is Parquet: call ``protocol.AdminClient.flush`` first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
from pyarrow import parquet

from doubleloop.gateway import paths

MICROSECONDS = polars.Datetime("us", "UTC")
COLUMNS: dict[str, Any] = {
    "request_id": polars.String,
    "row": polars.Int64,
    "time": MICROSECONDS,
    "received_at": MICROSECONDS,
    "deployment": polars.String,
    "deployment_id": polars.String,
    "model": polars.String,
    "model_version": polars.String,
    "status": polars.Int64,
    "latency_ms": polars.Float64,
    "mirrored": polars.Boolean,
    "error": polars.String,
}
LABEL_COLUMNS: dict[str, Any] = {
    "request_id": polars.String,
    "row": polars.Int64,
    "value": polars.Float64,
    "time": MICROSECONDS,
    "received_at": MICROSECONDS,
}


def read(
    home: Path | str,
    workspace: str,
    endpoint: str,
    deployment: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    mirrored: bool | None = None,
) -> polars.DataFrame:
    """One row per scored row with ``since <= time < until`` (event time), in order of time.

    Columns: those of ``COLUMNS``, then ``in.<name>`` and ``out.<name>`` (a single output is ``out.prediction``).
    Where answers were streamed, also ``pieces`` and ``time_to_first_piece_ms``.
    A failed request is one row per row sent (one if it could not be read) with its status and error.
    ``mirrored``: True or False selects copies or served requests; None gives both when a deployment is named, and
    served ones only when all deployments are read, so that no request counts twice.
    """
    folder = paths.endpoint_log(Path(home), workspace, endpoint)
    if deployment is not None:
        folders = [folder / deployment]
    else:
        folders = sorted(item for item in folder.glob("*") if item.is_dir() and item.name != paths.LABELS)
    frame = _read([file for item in folders for file in _files(item)], COLUMNS, since, until)
    if mirrored is None and deployment is None:
        mirrored = False
    if mirrored is not None:
        frame = frame.filter(polars.col("mirrored") == mirrored)
    return frame.sort("time", "received_at", "request_id", "row")


@dataclass(frozen=True)
class File:
    """One Parquet file of served requests. ``whole``: all of its rows lie in the window it was asked for."""

    path: Path
    deployment: str
    whole: bool
    since: datetime | None
    until: datetime | None

    def columns(self) -> list[str]:
        return list(parquet.read_schema(self.path).names)

    def rows(self) -> int:
        """How many it holds, of the window or not."""
        return int(parquet.read_metadata(self.path).num_rows)

    def read(self) -> polars.DataFrame:
        """Its rows of the window, columns as ``read`` gives them, without copies that were sent to be compared."""
        frame = _read([self.path], COLUMNS, self.since, self.until)
        return frame.filter(~polars.col("mirrored"))


def files(
    home: Path | str, workspace: str, endpoint: str, since: datetime | None = None, until: datetime | None = None
) -> list[File]:
    """The files that may hold rows with ``since <= time < until``: what ``read`` reads, one by one. A file never
    changes."""
    found = []
    for folder in sorted(paths.endpoint_log(Path(home), workspace, endpoint).glob("*")):
        if folder.is_dir() and folder.name != paths.LABELS:
            for file in _files(folder):
                whole = _lies(file, since, until)
                if whole is not None:
                    found.append(File(file, folder.name, whole, since, until))
    return found


def read_labels(
    home: Path | str,
    workspace: str,
    endpoint: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> polars.DataFrame:
    """Columns request_id, row, value (float, or text when any value is text), time, received_at. A later label
    for the same row corrects the earlier, so (request_id, row) is unique. ``since`` and ``until`` are of the
    label's time."""
    folder = paths.label_log(Path(home), workspace, endpoint)
    frame = _read(_files(folder), LABEL_COLUMNS, None, None, _values_as_texts)
    latest = frame.sort("received_at").unique(["request_id", "row"], keep="last", maintain_order=True)
    return _between(latest.lazy(), since, until).collect().sort("time", "request_id", "row")


def _values_as_texts(frames: list[polars.LazyFrame]) -> list[polars.LazyFrame]:
    """Where any label is a text all are, and whole numbers are written as classes are: 1, not 1.0."""
    kinds = [frame.collect_schema()["value"] for frame in frames]
    if polars.String not in kinds:
        return frames
    value = polars.col("value")
    whole = value.cast(polars.Int64, strict=False).cast(polars.String)
    text = polars.when(value == value.floor()).then(whole).otherwise(value.cast(polars.String)).alias("value")
    return [frame.with_columns(text) if kind.is_numeric() else frame for frame, kind in zip(frames, kinds, strict=True)]


def _files(folder: Path) -> list[Path]:
    return sorted(
        (file for file in folder.glob("[0-9][0-9][0-9][0-9]/*/*/*/*.parquet") if not file.name.startswith(".")),
        key=lambda file: file.name,
    )


def _read(
    files: list[Path], columns: dict[str, Any], since: datetime | None, until: datetime | None,
    together: Callable[[list[polars.LazyFrame]], list[polars.LazyFrame]] = list,
) -> polars.DataFrame:  # fmt: skip
    frames = [polars.LazyFrame(schema=columns)]
    for file in files:
        if _overlaps(file, since, until):
            frames.append(_between(polars.scan_parquet(file, glob=False), since, until))
    frames = together(frames)
    return polars.concat(frames, how="diagonal_relaxed").collect()


def _between(frame: polars.LazyFrame, since: datetime | None, until: datetime | None) -> polars.LazyFrame:
    if since is not None:
        frame = frame.filter(polars.col("time") >= _utc(since))
    if until is not None:
        frame = frame.filter(polars.col("time") < _utc(until))
    return frame


def _overlaps(file: Path, since: datetime | None, until: datetime | None) -> bool:
    return _lies(file, since, until) is not None


def _lies(file: Path, since: datetime | None, until: datetime | None) -> bool | None:
    """Whether all rows of the file are of the window, some may be (False), or none is (None), by the statistics in its
    footer: event times may lie far from the arrival that the folder is named after (a replay)."""
    if since is None and until is None:
        return True
    metadata = parquet.read_metadata(file)
    position = metadata.schema.names.index("time")
    spans = [metadata.row_group(group).column(position).statistics for group in range(metadata.num_row_groups)]
    if any(span is None or not span.has_min_max for span in spans):
        return False
    inside = [
        (since is None or span.min >= _utc(since)) and (until is None or span.max < _utc(until)) for span in spans
    ]  # fmt: skip
    near = [
        (since is None or span.max >= _utc(since)) and (until is None or span.min < _utc(until)) for span in spans
    ]  # fmt: skip
    return all(inside) if any(near) else None


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
