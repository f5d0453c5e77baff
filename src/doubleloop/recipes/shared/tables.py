"""Tables as pandas frames: a file, or a folder of files with the same columns (CSV, TSV, Parquet, JSON lines)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pandas

from .problems import BadData, missing

_READERS: dict[str, Callable[[str], pandas.DataFrame]] = {
    ".csv": lambda path: pandas.read_csv(path),
    ".tsv": lambda path: pandas.read_csv(path, sep="\t"),
    ".txt": lambda path: pandas.read_csv(path),
    ".parquet": lambda path: pandas.read_parquet(path),
    ".pq": lambda path: pandas.read_parquet(path),
    ".jsonl": lambda path: pandas.read_json(path, lines=True),
    ".ndjson": lambda path: pandas.read_json(path, lines=True),
}


def read(path: str) -> pandas.DataFrame:
    """All rows of the table at ``path``, files in alphabetical order. Raises BadData naming the file and, where the
    format tells it, the line."""
    parts: list[tuple[str, pandas.DataFrame]] = [(file, _read_one(file)) for file in files(path)]
    first_file, first = parts[0]
    for file, part in parts[1:]:
        if set(part.columns) != set(first.columns):
            odd = sorted(map(str, set(part.columns) ^ set(first.columns)))
            raise BadData(
                f"{_name(file)} has not the columns of {_name(first_file)} (differing: {', '.join(odd[:10])}); "
                "files of one table must have the same columns"
            )
    frame = pandas.concat([part for _, part in parts], ignore_index=True) if len(parts) > 1 else first
    frame.columns = [str(column) for column in frame.columns]
    if not len(frame):
        raise BadData(f"{_name(path)} has no rows; give a table with at least one row below its header")
    return frame


def files(path: str) -> list[str]:
    """The files of a table. Raises BadData when there are none, or one is of a kind that is not read."""
    if not os.path.exists(path):
        raise BadData(f"there is nothing at {path}; give a file or a folder")
    if os.path.isfile(path):
        found = [path]
    else:
        found = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if not name.startswith((".", "_")) and name != "MLTable"
        )
    if not found:
        raise BadData(f"the folder {_name(path)} holds no file; put the table into it")
    for file in found:
        if os.path.splitext(file)[1].lower() not in _READERS:
            raise BadData(f"{_name(file)} is not a kind of table that is read; write {', '.join(sorted(_READERS))}")
    return found


def column(frame: pandas.DataFrame, name: str, where: str) -> pandas.Series:
    """Raises BadData with names that are near."""
    if name not in frame.columns:
        raise missing("column", name, frame.columns, where)
    return frame[name]


def columns(text: str, frame: pandas.DataFrame, where: str) -> list[str]:
    """Names written as ``a, b, c``, each of them in the table. Raises BadData."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        column(frame, name, where)
    return names


def complete(values: pandas.Series, where: str) -> pandas.Series:
    """The values, none of them missing. Raises BadData with the first row that has none (counted from 1, without the
    header)."""
    gaps = values.isna().to_numpy()
    if gaps.any():
        raise BadData(
            f"{where} has no value of '{values.name}' in row {row(values, gaps)} "
            f"(and {int(gaps.sum()) - 1} more); leave those rows out, or fill them"
        )
    return values


def numbers(values: pandas.Series, where: str) -> pandas.Series:
    """The values as finite numbers. Raises BadData with the first row that is none."""
    complete(values, where)
    found = pandas.to_numeric(values, errors="coerce").astype("float64")
    bad = ~found.abs().lt(float("inf")).to_numpy()
    if bad.any():
        wrong = values.iloc[int(bad.argmax())]
        raise BadData(f"{where}, row {row(values, bad)}: '{wrong}' in column '{values.name}' is not a finite number")
    return found


def row(values: pandas.Series | pandas.DataFrame, wrong: Any) -> int:
    """The first row of which ``wrong`` (a mask) is true, as the file counts: from 1, without the header."""
    return int(values.index[int(numpy.asarray(wrong).argmax())]) + 1


def needs_rows(frame: Sequence[object] | pandas.DataFrame, least: int, where: str, why: str) -> None:
    """Raises BadData for fewer than ``least`` rows."""
    if len(frame) < least:
        raise BadData(f"{where} has {len(frame)} rows and at least {least} are needed ({why}); give more data")


def _read_one(file: str) -> pandas.DataFrame:
    if not os.path.getsize(file):
        raise BadData(f"{_name(file)} is empty; give a table with a header and rows")
    try:
        return _READERS[os.path.splitext(file)[1].lower()](file)
    except UnicodeDecodeError as error:
        raise BadData(
            f"{_name(file)} is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from None
    except (ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadData(f"{_name(file)} cannot be read as a table: {first}") from error


def _name(path: str) -> str:
    return os.path.basename(os.path.normpath(path))
