"""Tables in Parquet files, of which the columns that are asked for are read and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from doubleloop.base import errors
from doubleloop.frames import reading


def read(path: Path, keep: object = None) -> Columns | pl.DataFrame:
    """As ``reading.read``; of Parquet with the same columns in every file, what reads them when they are asked for.
    The files have to stay where they are so long: ``keep`` is held as long as the table, such as the temporary folder
    they are in. Raises InvalidInput naming the file."""
    files = reading.parquet_files(path)
    if not files:
        return reading.read(path)
    with _told(files[0]):
        schemas = [pl.read_parquet_schema(file) for file in files]
        if any(each != schemas[0] for each in schemas):
            return reading.read(path)
        return Columns(files, schemas[0], [parquet.read_metadata(file) for file in files], keep)


class Columns:
    """Parquet files of one schema as one table."""

    def __init__(
        self,
        files: Sequence[Path],
        schema: Mapping[str, pl.DataType],
        footers: Sequence[parquet.FileMetaData],
        keep: object = None,
    ) -> None:
        self._keep = keep
        self.height = sum(footer.num_rows for footer in footers)
        self._files, self._footers = list(files), list(footers)
        labelled = [set(reading.labelled(footer)) for footer in footers]
        self._labelled = labelled[0].intersection(*labelled)
        self.schema = {name: pl.Categorical() if name in self._labelled else kind for name, kind in schema.items()}
        self._nulls = _nulls(footers)

    def missing(self, name: str) -> int:
        """How many values of a column are null. Where the files do not say it the column is read."""
        if name not in self._nulls:
            self._nulls[name] = self.read([name])[name].null_count()
        return self._nulls[name]

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Columns in the order asked for. Texts that the files hold as numbers of labels stay so (categorical).
        Raises InvalidInput naming the first file."""
        alone = len(names) == 1 and self.height and _is_plain(self.schema[names[0]])
        plain = [] if alone else [name for name in names if name not in self._labelled]
        with _told(self._files[0]):
            held = self._scanned(plain) if plain else pl.DataFrame()
            return pl.DataFrame([held[name] if name in plain else self._together(name) for name in names])

    def _scanned(self, names: Sequence[str]) -> pl.DataFrame:
        return pl.scan_parquet(self._files, glob=False, parallel="none").select(names).collect()

    def _together(self, name: str) -> pl.Series:
        parts = list(self.pieces(name))
        if name in self._labelled:
            return _numbered(name, parts)
        return pl.Series(_Stream(pa.chunked_array(parts))).alias(name)

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """A column of numbers, or of texts as numbers of labels, each row group forgotten before the next: memory that
        is used again costs less to fill. Raises InvalidInput naming the first file."""
        labelled = [name] if name in self._labelled else []
        with _told(self._files[0]):
            for file, footer in zip(self._files, self._footers, strict=True):
                held = parquet.ParquetFile(file, metadata=footer, read_dictionary=labelled, pre_buffer=False)
                for group in range(footer.num_row_groups):
                    yield from held.read_row_group(group, [name], use_threads=False).column(0).chunks


class _Stream:
    """Arrow's parts as polars takes them from any library: from arrow itself it would import what computes on them."""

    def __init__(self, held: pa.ChunkedArray) -> None:
        self.__arrow_c_stream__ = held.__arrow_c_stream__


def _is_plain(kind: pl.DataType) -> bool:
    return kind.is_integer() or kind.is_float() or kind == pl.Boolean


def _numbered(name: str, parts: Sequence[pa.DictionaryArray]) -> pl.Series:
    """Texts as numbers of labels, from parts that number them each in their own way."""
    labels: dict[str, int] = {}
    places = [[labels.setdefault(label, len(labels)) for label in part.dictionary.to_pylist()] for part in parts]
    kind = pl.Enum(list(labels))
    number = pl.Series(dtype=kind).to_physical().dtype
    codes = [_codes(part.indices, place, number) for part, place in zip(parts, places, strict=True)]
    return pl.concat(codes or [pl.Series(dtype=number)]).cat.to(kind).alias(name)


def _codes(indices: pa.Array, places: list[int], number: pl.DataType) -> pl.Series:
    """Numbers of labels as ``places`` gives them, null where there is none."""
    numbers = pl.Series(places, dtype=number)
    if indices.null_count:
        return numbers.gather(pl.Series(indices))
    # Not by indices.to_numpy(), for which pyarrow imports pandas where that is installed.
    there = np.frombuffer(indices.buffers()[1], np.int32)[indices.offset : indices.offset + len(indices)]
    return pl.Series(numbers.to_numpy()[there])


def _nulls(footers: Sequence[parquet.FileMetaData]) -> dict[str, int]:
    """Of the columns of which every row group says it. What lies inside nested columns is not theirs."""
    found: dict[str, int] = {}
    unknown: set[str] = set()
    for footer in footers:
        for at in range(footer.num_columns):
            name = footer.schema.column(at).path
            for group in range(footer.num_row_groups):
                said = footer.row_group(group).column(at).statistics
                if said is None or not said.has_null_count:
                    unknown.add(name)
                else:
                    found[name] = found.get(name, 0) + said.null_count
    return {name: count for name, count in found.items() if name not in unknown and "." not in name}


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise errors.InvalidInput(f"{file.name} cannot be read as a table: {error}") from error
