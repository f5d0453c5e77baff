"""Reading data versions as tables, the same way wherever a number is computed from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from doubleloop.base import errors

_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")


def read(path: Path) -> pl.DataFrame:
    """A file (csv, tsv, parquet, jsonl, json records), or a folder of them read in name order and put together.

    A folder with an ``MLTable`` file is read as that says (paths, delimiter, encoding). Raises InvalidInput naming
    the file.
    """
    if path.is_dir():
        table = path / "MLTable"
        return _read_mltable(table) if table.exists() else _concat(_files(path), path)
    return _read_file(path)


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix.lower() in _SUFFIXES)


def _concat(files: list[Path], place: Path) -> pl.DataFrame:
    if not files:
        raise errors.InvalidInput(f"{place.name} holds no table", cure=f"Known endings: {', '.join(_SUFFIXES)}.")
    frames = [_read_file(file) for file in files]
    try:
        return pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise errors.InvalidInput(f"The tables in {place.name} do not fit together: {error}") from error


def _read_file(path: Path, separator: str | None = None, encoding: str = "utf8") -> pl.DataFrame:
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pl.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(path, infer_schema_length=None)
        if suffix == ".json":
            return pl.read_json(path, infer_schema_length=None)
        if suffix in (".csv", ".tsv", ".txt", "") or separator:
            chosen = separator or ("\t" if suffix == ".tsv" else ",")
            return pl.read_csv(
                path, separator=chosen, infer_schema_length=None, try_parse_dates=True,
                encoding="utf8-lossy" if encoding == "utf8" else encoding,
            )  # fmt: skip
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise errors.InvalidInput(f"The table cannot be read: {error}", where=errors.Where(path.name)) from error
    raise errors.InvalidInput(
        f"'{path.name}' is not a table that can be read", cure=f"Known endings: {', '.join(_SUFFIXES)}."
    )


def _read_mltable(file: Path) -> pl.DataFrame:
    body: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text()) or {}
    separator, encoding, take = None, "utf8", None
    for step in body.get("transformations", []):
        name, options = (step, {}) if isinstance(step, str) else next(iter(step.items()))
        if name == "read_delimited":
            separator, encoding = options.get("delimiter", ","), options.get("encoding", "utf8")
        elif name == "take":
            take = int(options)
        elif name not in ("read_parquet", "read_json_lines"):
            raise errors.NotSupported(
                f"MLTable transformation '{name}' is not available yet", where=errors.Where(file.name),
                cure="Prepare the table in a job step.",
            )  # fmt: skip
    files: list[Path] = []
    for entry in body.get("paths", []):
        kind, text = next(iter(entry.items()))
        place = file.parent / text
        files += sorted(file.parent.glob(text)) if kind == "pattern" else _files(place) if kind == "folder" else [place]
    frame = pl.concat([_read_file(each, separator, encoding) for each in files], how="vertical_relaxed")
    return frame.head(take) if take is not None else frame


def to_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def to_csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()
