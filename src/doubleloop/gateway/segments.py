"""A closed segment becomes one Parquet file, exactly once, whenever and wherever the process is killed.

The Parquet file's name is the segment's, so the steps can be repeated: write a temporary file, sync, rename,
sync the folder, delete the segment. A segment whose Parquet file is there was converted, only not deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow
from pyarrow import parquet

from doubleloop.gateway import records, tables, wal

BAD = ".unreadable"


@dataclass(frozen=True)
class Result:
    """``rows`` written; ``torn`` lines that could not be read (a power loss cut them, or never synced them)."""

    segment: str
    parquet: str | None
    rows: int = 0
    torn: int = 0
    skipped: bool = False


def convert(segment: Path, wait: bool = True) -> Result:
    """``wait``: for the lock of a writer; otherwise a locked segment is skipped. Raises OSError, ArrowException."""
    try:
        fd = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Result(str(segment), None, skipped=True)  # somebody else was quicker
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if not segment.exists():
            return Result(str(segment), None, skipped=True)
        return _convert(segment)
    except BlockingIOError:
        return Result(str(segment), None, skipped=True)
    finally:
        os.close(fd)


def _convert(segment: Path) -> Result:
    target = target_of(segment)
    if target.exists():
        _delete(segment)
        return Result(str(segment), str(target))
    header, lines, torn = read(segment)
    if header is None and not _begun(segment):
        _delete(segment)
        return Result(str(segment), None)
    if header is None:
        segment.rename(segment.with_name(segment.name + BAD))
        return Result(str(segment), None, torn=torn)
    if not lines:
        _delete(segment)
        return Result(str(segment), None, torn=torn)
    table = tables.build(header, lines)
    write(table, target)
    _delete(segment)
    return Result(str(segment), str(target), table.num_rows, torn)


def _begun(segment: Path) -> bool:
    """Whether it may hold more than a part of its header, which is written before any record. Zeros, which a power loss
    leaves in place of what was written, may stand for records."""
    with open(segment, "rb") as file:
        first = file.readline()
    return first.endswith(b"\n") or b"\0" in first


def target_of(segment: Path) -> Path:
    """``.../wal/20261122T215600123456Z-ab12.jsonl`` becomes ``.../2026/11/22/21/<same name>.parquet``."""
    stem = segment.name.removesuffix(wal.SUFFIX)
    moment = datetime.strptime(stem.split("-")[0], wal.STAMP)  # noqa: DTZ007 - the stamp is UTC, only split here
    return segment.parent.parent / f"{moment:%Y}/{moment:%m}/{moment:%d}/{moment:%H}" / f"{stem}.parquet"


def read(segment: Path) -> tuple[records.Header | None, list[dict[str, Any]], int]:
    """Header (None when it cannot be read), records, and the number of lines that cannot be read."""
    with open(segment, "rb") as file:
        first = file.readline()
        try:
            header = records.decode_header(first)
        except (ValueError, TypeError, KeyError):
            return None, [], 1 if first else 0
        lines: list[dict[str, Any]] = []
        torn = 0
        for line in file:
            value = _line(line)
            if value is None:
                torn += 1
            else:
                lines.append(value)
    return header, lines, torn


def _line(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def write(table: pyarrow.Table, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.tmp")
    parquet.write_table(table, temporary, compression="zstd")
    with _opened(temporary) as fd:
        os.fsync(fd)
    os.replace(temporary, target)
    _sync_folder(target.parent)


def _delete(segment: Path) -> None:
    segment.unlink(missing_ok=True)
    _sync_folder(segment.parent)


def _sync_folder(folder: Path) -> None:
    with _opened(folder) as fd:
        os.fsync(fd)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
