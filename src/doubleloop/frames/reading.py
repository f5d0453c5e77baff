"""Reading data versions as tables, the same way wherever a number is computed from them."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import parquet
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from doubleloop.base import errors

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
PIECE = 131_072
_STRETCH = 1_000  # rows that are worth opening a row group for
# Azure ML's names of encodings, as Python knows them.
_ENCODINGS = {
    "iso88591": "iso8859-1", "windows1252": "cp1252", "utf16": "utf-16", "utf32": "utf-32", "utf8bom": "utf-8-sig",
}  # fmt: skip


def read(path: Path, texts: Collection[str] = ()) -> pl.DataFrame:
    """A file (csv, tsv, parquet, jsonl, json records), or a folder of them read in name order and put together.

    A folder with an ``MLTable`` file is read as that says (paths, delimiter, encoding). Columns that are called as in
    ``texts`` stay as they are written in files that know no types (csv, tsv): 01234 is no number there. Raises
    InvalidInput naming the file.
    """
    if path.is_dir():
        table = path / "MLTable"
        return _read_mltable(table, texts) if table.exists() else _concat(_files(path), path, texts)
    return _read_file(path, texts)


def bounded(path: Path, most_cells: int, most_bytes: int) -> tuple[pl.DataFrame, int]:
    """As ``read``, of a table of any size: what is looked at, and how many rows there are. Of Parquet with more than
    ``most_cells`` values these are stretches of rows, evenly spaced; all other files are read whole.

    Raises InvalidInput for other files that hold more than ``most_bytes`` together.
    """
    if files := parquet_files(path):
        return _stretches(path, files, most_cells)
    files = _files(path) if path.is_dir() else [path]
    size = sum(each.stat().st_size for each in files)
    if size > most_bytes:
        raise errors.InvalidInput(
            f"{path.name} holds {size / 1e6:,.0f} MB; tables that are not Parquet are looked at up to "
            f"{most_bytes / 1e6:,.0f} MB", cure="Make a version of it as Parquet: of that any size is looked at.",
        )  # fmt: skip
    found = read(path)
    return found, found.height


def _stretches(path: Path, files: list[Path], most_cells: int) -> tuple[pl.DataFrame, int]:
    try:
        footers = [parquet.read_metadata(each) for each in files]
    except (pa.ArrowException, OSError) as error:
        raise errors.InvalidInput(f"{path.name} cannot be read as a table: {error}") from error
    rows = sum(footer.num_rows for footer in footers)
    if rows * max(footer.num_columns for footer in footers) <= most_cells:
        return read(path), rows
    groups = [
        (file, at, footer.row_group(at).num_rows)
        for file, footer in zip(files, footers, strict=True)
        for at in range(footer.num_row_groups)
    ]
    wanted = max(most_cells // max(footer.num_columns for footer in footers), 1)
    chosen = groups[:: -(-len(groups) * _STRETCH // wanted)] if len(groups) * _STRETCH > wanted else groups
    each = max(wanted // len(chosen), 1)
    return _together([_stretch(*group, each) for group in chosen], path), rows


def _stretch(file: Path, group: int, rows: int, most: int) -> pl.DataFrame:
    """At most so many rows from the middle of a row group."""
    start = sum(parquet.read_metadata(file).row_group(at).num_rows for at in range(group)) + max(rows - most, 0) // 2
    return pl.scan_parquet(file, glob=False).slice(start, min(rows, most)).collect()


def pieces(file: Path, rows: int = PIECE) -> Iterator[pl.DataFrame]:
    """A Parquet file as frames of at most ``rows`` rows, one row group in memory at a time. Texts that the file holds
    as numbers of labels stay so (categorical), which spares writing each of them out.

    Raises InvalidInput naming the file.
    """
    try:
        metadata, start = parquet.read_metadata(file), 0
        scan, texts = pl.scan_parquet(file, glob=False, parallel="none"), labelled(metadata)
        names = scan.collect_schema().names()
        labels = parquet.ParquetFile(file, read_dictionary=texts, pre_buffer=False) if texts else None
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            held = scan.select(pl.exclude(texts)).slice(start, count).collect()
            if labels is not None:
                beside = pl.DataFrame(labels.read_row_group(group, texts, use_threads=False))
                held = pl.DataFrame([beside[name] if name in texts else held[name] for name in names])
            yield from held.iter_slices(rows)
            start += count
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise errors.InvalidInput(f"{file.name} cannot be read as a table: {error}") from error


def parquet_files(path: Path) -> list[Path]:
    """The files of a table that is Parquet and nothing else, in name order; none of another table."""
    files = _files(path) if path.is_dir() else [path]
    plain = all(each.suffix.lower() == ".parquet" for each in files) and not (path / "MLTable").exists()
    return files if plain else []


def labelled(metadata: parquet.FileMetaData) -> list[str]:
    """Columns of texts that are written as numbers of labels in every row group: a few bytes for each."""
    found = []
    for at in range(metadata.num_columns):
        kind = metadata.schema.column(at)
        chunks = [metadata.row_group(group).column(at) for group in range(metadata.num_row_groups)]
        small = all(each.has_dictionary_page and each.total_uncompressed_size < 4 * each.num_values for each in chunks)
        if chunks and small and kind.logical_type.type == "STRING" and kind.max_repetition_level == 0:
            found += [kind.path] if "." not in kind.path else []
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix.lower() in SUFFIXES)


def _concat(files: list[Path], place: Path, texts: Collection[str]) -> pl.DataFrame:
    if not files:
        raise errors.InvalidInput(f"{place.name} holds no table", cure=f"Known endings: {', '.join(SUFFIXES)}.")
    return _together([_read_file(file, texts) for file in files], place)


def _together(frames: list[pl.DataFrame], place: Path) -> pl.DataFrame:
    try:
        return pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise errors.InvalidInput(f"The tables in {place.name} do not fit together: {error}") from error


def _read_file(
    path: Path, texts: Collection[str] = (), separator: str | None = None, encoding: str = "utf8"
) -> pl.DataFrame:
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
            found = pl.read_csv(
                path, separator=chosen, infer_schema_length=None, try_parse_dates=True,
                encoding="utf8-lossy" if encoding == "utf8" else encoding,
                schema_overrides=dict.fromkeys(texts, pl.String),
            )  # fmt: skip
            if separator is None:
                _check_separated(path, found, chosen)
            return found
    except pl.exceptions.ComputeError as error:
        if "more fields than defined" in str(error):
            raise _unseparated(path, "a line has more fields than the first one") from error
        raise errors.InvalidInput(f"The table cannot be read: {error}", where=errors.Where(path.name)) from error
    except (pl.exceptions.PolarsError, OSError, ValueError, LookupError) as error:
        raise errors.InvalidInput(f"The table cannot be read: {error}", where=errors.Where(path.name)) from error
    raise errors.InvalidInput(
        f"'{path.name}' is not a table that can be read", cure=f"Known endings: {', '.join(SUFFIXES)}."
    )


def _check_separated(path: Path, found: pl.DataFrame, separator: str) -> None:
    """Raises InvalidInput for a table that came out as one column because something else stands between its values."""
    others = [each for each in ";\t|," if each != separator and found.width == 1 and each in found.columns[0]]
    if others:
        raise _unseparated(path, f"it has a single column, {found.columns[0][:80]!r}")


def _unseparated(path: Path, why: str) -> errors.InvalidInput:
    return errors.InvalidInput(
        f"The table cannot be read: {why}", where=errors.Where(path.name),
        cure="Put commas between the values (tabs in a .tsv), or say what stands there in an MLTable file beside it: "
        "transformations: [read_delimited: {delimiter: ';'}].",
    )  # fmt: skip


def _read_mltable(file: Path, texts: Collection[str] = ()) -> pl.DataFrame:
    body = _mltable(file)
    separator, encoding, take = None, "utf8", None
    for step in body.get("transformations") or []:
        name, options = (step, {}) if isinstance(step, str) else _pair(step)
        if name == "read_delimited":
            if not isinstance(options, dict):
                raise _senseless("read_delimited needs its options as `name: value`")
            separator, encoding = options.get("delimiter", ","), options.get("encoding", "utf8")
        elif name == "take":
            if type(options) is not int or options < 0:
                raise _senseless("take needs a whole number")
            take = options
        elif name not in ("read_parquet", "read_json_lines"):
            raise errors.NotSupported(
                f"MLTable transformation '{name}' is not available yet", where=errors.Where(file.name),
                cure="Prepare the table in a job step.",
            )  # fmt: skip
    files = [each for entry in body["paths"] for each in _named(file.parent, *_pair(entry))]
    if not files:
        raise _senseless("its paths lead to no file")
    frames = [_read_file(each, texts, separator, _ENCODINGS.get(encoding, encoding)) for each in files]
    whole = _together(frames, file.parent)
    return whole if take is None else whole.head(take)


def _mltable(file: Path) -> dict[str, Any]:
    try:
        body = YAML(typ="safe", pure=True).load(file.read_text())
    except (YAMLError, UnicodeDecodeError) as error:
        raise _senseless(f"it is not YAML: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("paths"), list):
        raise _senseless("it has no list of paths")
    return body


def _pair(entry: Any) -> tuple[str, Any]:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise _senseless(f"'{entry}' is not of the form `kind: value`")
    return next(iter(entry.items()))


def _named(root: Path, kind: str, text: Any) -> list[Path]:
    """The files that one of its paths means, all of them inside the folder that the MLTable is in."""
    if kind not in ("file", "folder", "pattern") or not isinstance(text, str):
        raise _senseless(f"'{kind}: {text}' is neither file, folder nor pattern")
    if "://" in text:
        raise errors.NotSupported(
            f"The MLTable points at {text}, outside of its folder", cure="Put the files beside the MLTable file."
        )
    relative = text.removeprefix("./").rstrip("/") or "."
    place = root / relative
    found = sorted(root.glob(relative)) if kind == "pattern" else _files(place) if kind == "folder" else [place]
    for each in found:
        if not each.resolve().is_relative_to(root.resolve()):
            raise _senseless(f"'{text}' leads out of its folder")
    return found


def _senseless(why: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"The MLTable cannot be read: {why}", where=errors.Where("MLTable"))


def to_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def to_csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()
