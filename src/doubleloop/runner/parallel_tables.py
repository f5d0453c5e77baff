"""Tables of a parallel step: an MLTable, or files of rows, as one pandas frame, and the frame in parts.

pandas comes from the user's environment. The MLTable file was read by who started the run: here it is plain data.
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any, Iterator

import pandas

_COLUMN_TYPES = {"string": "str", "int": "Int64", "float": "float64", "boolean": "boolean"}
_ENCODINGS = {"iso88591": "iso8859-1", "latin1": "latin1", "ascii": "ascii", "utf16": "utf-16", "utf32": "utf-32",
              "utf8bom": "utf-8-sig", "windows1252": "cp1252", "utf8": "utf-8"}  # fmt: skip


def load(root: str, table: dict) -> pandas.DataFrame:
    """All rows. ``table`` is the MLTable file's content, or ``{}`` for a file or folder of rows."""
    steps = [_step(each) for each in table.get("transformations") or ()]
    reader = next((each for each in steps if each[0].startswith("read_")), ("", {}))
    files = _files(root, table.get("paths"))
    if not files:
        raise ValueError("the table at %s names no file" % root)
    partition = next((given for name, given in steps if name == "extract_columns_from_partition_format"), None)
    frames = [_with_partition(_with_path(_read(file, *reader), file, reader[1]), file, partition) for file in files]
    frame = pandas.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    for name, given in steps:
        if name in _TRANSFORMATIONS:
            frame = _TRANSFORMATIONS[name](frame, given)
        elif not name.startswith("read_") and name != "extract_columns_from_partition_format":
            raise ValueError("the transformation '%s' is not served here" % name)
    return frame.reset_index(drop=True)


def _step(written: Any) -> tuple:
    if isinstance(written, str):
        return written, {}
    name = next(iter(written))
    return name, written[name] if written[name] is not None else {}


def _files(root: str, paths: Any) -> list:
    if os.path.isfile(root):
        return [root]
    if not paths:
        return sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names if name != "MLTable"
        )
    found: list = []
    for each in paths:
        kind, written = next(iter(each.items()))
        place = os.path.join(root, str(written).replace("file://", ""))
        if kind == "pattern" or any(mark in str(written) for mark in "*?["):
            found += sorted(each for each in glob.glob(place, recursive=True) if os.path.isfile(each))
        elif os.path.isdir(place):
            found += _files(place, None)
        else:
            found.append(place)
    return found


def _read(file: str, reader: str, given: dict) -> pandas.DataFrame:
    ending = os.path.splitext(file)[1].lower()
    if reader == "read_parquet" or (not reader and ending == ".parquet"):
        return pandas.read_parquet(file)
    if reader == "read_json_lines" or (not reader and ending in (".jsonl", ".ndjson")):
        return pandas.read_json(file, lines=True)
    if reader and reader != "read_delimited":
        raise ValueError("'%s' is not served here" % reader)
    header = str(given.get("header", "all_files_same_headers")).lower()
    options = {
        "sep": given.get("delimiter") or ("\t" if ending == ".tsv" else ","),
        "encoding": _ENCODINGS.get(str(given.get("encoding") or "utf8").lower().replace("-", ""), "utf-8"),
        "header": None if header in ("no_header", "false") else 0,
    }
    if given.get("empty_as_string"):
        options["keep_default_na"] = False
    frame = pandas.read_csv(file, **options)
    if options["header"] is None:
        frame.columns = ["Column%d" % (number + 1) for number in range(frame.shape[1])]
    return frame


def _with_path(frame: pandas.DataFrame, file: str, given: dict) -> pandas.DataFrame:
    return frame.assign(Path=file) if given.get("include_path_column") else frame


def _with_partition(frame: pandas.DataFrame, file: str, partition: Any) -> pandas.DataFrame:
    """Columns that stand in the file's path, as in ``{Store}/{Brand}.parquet``."""
    if not partition:
        return frame
    written = partition if isinstance(partition, str) else partition["partition_format"]
    pattern = re.sub(r"\\\{(\w+)(?::[^}]*)?\\\}", r"(?P<\1>[^/]+)", re.escape(written.lstrip("/")))
    match = re.search(pattern + "$", file)
    if match is None:
        raise ValueError("%s does not fit the partition format %s" % (file, written))
    return frame.assign(**match.groupdict())


def _columns(given: Any) -> list:
    return [given] if isinstance(given, str) else list(given)


def _converted(frame: pandas.DataFrame, given: Any) -> pandas.DataFrame:
    for each in given:
        kind = each["column_type"]
        for column in _columns(each["columns"]):
            name = kind if isinstance(kind, str) else next(iter(kind))
            if name == "datetime":
                frame = frame.assign(**{column: pandas.to_datetime(frame[column])})
            else:
                frame = frame.assign(**{column: frame[column].astype(_COLUMN_TYPES[name])})
    return frame


_TRANSFORMATIONS = {
    "take": lambda frame, given: frame.head(int(given)),
    "skip": lambda frame, given: frame.iloc[int(given) :],
    "keep_columns": lambda frame, given: frame[_columns(given)],
    "drop_columns": lambda frame, given: frame.drop(columns=_columns(given)),
    "convert_column_types": _converted,
    "take_random_sample": lambda frame, given: frame.sample(
        frac=float(given["probability"]), random_state=int(given.get("seed") or 0)
    ).sort_index(),
}


def by_keys(frame: pandas.DataFrame, keys: list) -> Iterator[tuple]:
    """``({key: value}, rows)`` for each value of the keys, in the order of the values."""
    missing = [key for key in keys if key not in frame.columns]
    if missing:
        raise ValueError("the table has no column %s" % ", ".join(missing))
    for found, part in frame.groupby(keys, sort=True, dropna=False):
        found_values = found if isinstance(found, tuple) else (found,)
        plain = [value.item() if hasattr(value, "item") else value for value in found_values]
        told = [value if isinstance(value, (int, float, bool)) else str(value) for value in plain]
        yield dict(zip(keys, told)), part  # noqa: B905 - runs from Python 3.7 on


def by_size(frame: pandas.DataFrame, size: int) -> Iterator[pandas.DataFrame]:
    """Parts whose text takes about ``size`` bytes, at least one row each."""
    if not len(frame):
        return
    sample = frame.head(1000)
    per_row = max(len(sample.to_csv(index=False, header=False).encode()) / len(sample), 1.0)
    rows = max(int(size / per_row), 1)
    for start in range(0, len(frame), rows):
        yield frame.iloc[start : start + rows]
