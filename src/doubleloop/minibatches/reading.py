"""Files as pieces of a table that fit into memory: what a model without a script is given."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence

from . import cutting

PIECE_ROWS = 50000
DELIMITED = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tiff", ".tif", ".webp")
SHOWN_COLUMNS = 20


class Unreadable(Exception):
    """The file is not one that the model can be given."""


class Reader:
    """``inputs`` are the columns of the signature; ``tensor`` is what a model takes instead (``{"shape", "dtype"}``),
    which may be rows of a table (``rows``)."""

    def __init__(
        self, inputs: List[Dict[str, Any]], tensor: Optional[Dict[str, Any]] = None, rows: bool = False
    ) -> None:
        self._rows = rows or tensor is None
        self._inputs = inputs
        self._tensor = tensor
        named = [each["name"] for each in inputs if each["type"] == "string" and each.get("name") is not None]
        # Columns that must stay text, whatever their values look like (``01234``).
        self.texts = {name: "str" for name in named}

    def pieces(self, path: str, item: cutting.Item) -> Iterator[Any]:
        """Data frames, Arrow record batches, or a tensor of one image. Raises Unreadable."""
        name = path[:-3] if path.lower().endswith(".gz") else path
        end = os.path.splitext(name)[1].lower()
        try:
            if end in IMAGES:
                yield self._image(path)
            elif not self._rows:
                raise Unreadable("the model takes tensors, so it reads images (%s), not %s" % (", ".join(IMAGES), end))
            elif end in DELIMITED:
                yield from self._delimited(path, DELIMITED[end])
            elif end in LINES:
                yield from self._lines(path)
            elif end in cutting.PARQUET:
                yield from self._parquet(path, item["groups"])
            else:
                known = ", ".join([*DELIMITED, *LINES, *cutting.PARQUET, *IMAGES])
                raise Unreadable(
                    "files of type '%s' cannot be read without a scoring script; those can: %s" % (end, known)
                )
        except UnicodeDecodeError as error:
            odd = error.object[error.start : error.start + 1].hex()
            raise Unreadable("it is not text in UTF-8: the byte 0x%s cannot stand where it does" % odd) from error

    def _delimited(self, path: str, separator: str) -> Iterator[Any]:
        import pandas

        _check_width(path, separator)
        try:
            with pandas.read_csv(path, sep=separator, dtype=self.texts or None, chunksize=PIECE_ROWS) as reader:
                yield from reader
        except pandas.errors.EmptyDataError as error:
            raise Unreadable("it is empty: it does not even name its columns") from error
        except pandas.errors.ParserError as error:
            raise Unreadable("it is no table: %s" % str(error).strip()) from error

    def _lines(self, path: str) -> Iterator[Any]:
        with _opened(path) as file:
            numbered = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            while True:
                lines = list(itertools.islice(numbered, PIECE_ROWS))
                if not lines:
                    return
                yield self._of_rows([_object(*each) for each in lines])

    def _of_rows(self, rows: List[Dict[str, Any]]) -> Any:
        import pandas

        names = list(dict.fromkeys(name for row in rows for name in row))
        # A column of whole numbers that lacks one becomes fractions in pandas: no text may go that way.
        return pandas.DataFrame(
            {
                name: pandas.Series([row.get(name) for row in rows], dtype=object if name in self.texts else None)
                for name in names
            },
            index=range(len(rows)),
        )

    def _parquet(self, path: str, groups: Optional[List[int]]) -> Iterator[Any]:
        """Texts are left as they lie in the file, each distinct one once."""
        import pyarrow.parquet as parquet

        meta = parquet.read_metadata(path)
        there = meta.schema.to_arrow_schema().names
        check_columns(there, self._inputs)
        texts = [name for name in self.texts if name in there]
        # Column chunks are read through a small buffer, or a row group of any size would be in memory at once.
        with parquet.ParquetFile(
            path, metadata=meta, buffer_size=1 << 20, pre_buffer=False, read_dictionary=texts
        ) as file:
            wanted = [each["name"] for each in self._inputs if each.get("name") is not None]
            columns = [name for name in wanted if name in there] if wanted else None
            chosen = list(range(*groups)) if groups else None
            yield from file.iter_batches(PIECE_ROWS, row_groups=chosen, columns=columns)

    def _image(self, path: str) -> Any:
        """One image: a row with the file's bytes for a model with one binary column; for one of tensors a batch of one:
        height, width, channels."""
        if self._tensor is None:
            needed = [each for each in self._inputs if each.get("required", True)]
            if len(needed) == 1 and needed[0]["type"] == "binary" and needed[0].get("name") is not None:
                import pandas

                with open(path, "rb") as file:
                    return pandas.DataFrame({needed[0]["name"]: [file.read()]})
            raise Unreadable("the model takes columns, and an image has none; deploy it with a scoring script")
        return _pixels(path, self._tensor["shape"], self._tensor["dtype"])


def _pixels(path: str, shape: Sequence[int], dtype: str) -> Any:
    """An image as an array of ``shape`` with the first axis 1. Colours are colours, not places in a palette."""
    import numpy
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened  # type: Any
            channels = shape[3] if len(shape) == 4 else 0
            if image.mode == "1":
                image = image.convert("L")
            if image.mode in ("P", "CMYK", "YCbCr") or (image.mode == "L" and channels == 3):
                image = image.convert("RGB")
            array = numpy.asarray(image)
    except UnidentifiedImageError:
        raise Unreadable("it is no image that can be read") from None
    if array.ndim == 2 and channels == 1:
        array = array[:, :, numpy.newaxis]
    fits = len(shape) == array.ndim + 1 and all(
        wanted in (-1, held)
        for wanted, held in zip(shape[1:], array.shape)  # noqa: B905 - as above
    )
    if not fits:
        raise Unreadable("the image is an array of %s (height, width, channels), the model takes %s" % (
            list(array.shape), list(shape[1:])))  # fmt: skip
    return array[numpy.newaxis].astype(dtype)


def check_columns(there: Sequence[Any], inputs: Sequence[Dict[str, Any]]) -> None:
    """Raises Unreadable for columns of a signature that are not among ``there``, and says what is."""
    named = [each for each in inputs if each.get("name") is not None]
    missing = [each["name"] for each in named if each.get("required", True) and each["name"] not in there]
    held = "the file has %s" % (_quoted(there) + _hint(there) if len(there) else "no columns")
    if missing:
        raise Unreadable("the column%s %s %s missing; %s" % (
            "s" if len(missing) > 1 else "", _quoted(missing), "are" if len(missing) > 1 else "is", held))  # fmt: skip
    if named and not any(each["name"] in there for each in named):
        wanted = _quoted([each["name"] for each in named])
        raise Unreadable("it has none of the columns that the model takes: %s; %s" % (wanted, held))


def frame(piece: Any, texts: Dict[str, str]) -> Any:
    """A piece as a data frame, its texts as Python's; whole numbers that are to be texts keep their digits."""
    if not hasattr(piece, "num_rows"):
        return piece
    import pyarrow

    columns = []
    for name, column in zip(piece.schema.names, piece.columns):  # noqa: B905 - zip has no strict before Python 3.10
        if pyarrow.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if name in texts and (pyarrow.types.is_integer(column.type) or pyarrow.types.is_binary(column.type)):
            column = column.cast(pyarrow.string())
        columns.append(column)
    return pyarrow.RecordBatch.from_arrays(columns, names=piece.schema.names).to_pandas()


def _opened(path: str) -> Any:
    way = gzip.open if path.lower().endswith(".gz") else open
    return way(path, "rt", encoding="utf-8-sig", newline="")


def _check_width(path: str, separator: str) -> None:
    """Raises Unreadable for rows with more values than names: pandas would take the first for an index, and so give
    each column the values of its neighbour."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with _opened(path) as file:
            records = (record for record in csv.reader(file, delimiter=separator) if record)
            names, first = next(records, []), next(records, [])
    except csv.Error:  # pandas says better what it is
        return
    finally:
        csv.field_size_limit(limit)
    if len(first) > len(names):
        raise Unreadable(
            "its rows have more values than its first line has names (%s%s); give each column a name there, or remove "
            "the separator at the end of the rows" % (_quoted(names), _hint(names))
        )


def _object(number: int, line: str) -> Dict[str, Any]:
    try:
        found = json.loads(line.strip())
    except ValueError as error:
        why = "%s at character %d" % (error.msg, error.pos + 1) if isinstance(error, json.JSONDecodeError) else error
        raise Unreadable("line %d is no JSON: %s" % (number, why)) from error
    if not isinstance(found, dict):
        raise Unreadable("line %d holds no object with a value for each column" % number)
    return found


def _quoted(names: Sequence[Any]) -> str:
    shown = ", ".join("'%s'" % str(name)[:80] for name in names[:SHOWN_COLUMNS])
    return shown + (", and %d more" % (len(names) - SHOWN_COLUMNS) if len(names) > SHOWN_COLUMNS else "")


def _hint(there: Sequence[Any]) -> str:
    """A table that came out as one column because something else stands between its values."""
    return "; put commas between the values" if len(there) == 1 and any(c in str(there[0]) for c in ";|\t") else ""
