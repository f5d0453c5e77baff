"""Rows: from what ``run()`` returned to a part's file, and from parts to the file that was asked for.

As in Azure ML: a data frame is written without header and index, its values parted by spaces; of anything else each
element is one line, as Python writes it. A file that ends in ``.parquet`` keeps names and types instead.
"""

from __future__ import annotations

import os
import shutil
from concurrent import futures
from typing import Any, Iterable, Iterator, List, Sequence

JOINED_ROWS = 1 << 17


class NotRows(Exception):
    """``run()`` returned something that has no rows."""


def write(result: Any, path: str, is_parquet: bool) -> int:
    """Write what ``run()`` returned; how many results that were. A generator is run to its end. Raises NotRows."""
    if _is_frame(result):
        frame(result, path, is_parquet, " ")
        return len(result)
    if _is_one(result):
        raise NotRows(
            "run() returned %s; it must return a list or a data frame, with an element for each file that was scored"
            % type(result).__name__
        )
    if is_parquet:
        raise NotRows(
            "run() must return a data frame when the output is a Parquet file, not %s" % type(result).__name__
        )
    count = 0
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        for each in result:
            if _is_frame(each):
                each.to_csv(file, sep=" ", header=False, index=False)
                count += len(each)
            else:
                file.write("%s\n" % (_line(each),))
                count += 1
    return count


def _line(result: Any) -> Any:
    """An array is written as a list: its own way parts long rows into lines and leaves out the middle."""
    return result.tolist() if getattr(result, "ndim", 0) else result


def count(result: Any) -> int:
    """The number of results of a ``run()`` whose rows nobody wants. Raises NotRows."""
    if _is_frame(result):
        return len(result)
    if _is_one(result):
        raise NotRows("run() returned %s; it must return a list or a data frame" % type(result).__name__)
    return sum(1 for _ in result)


def frame(value: Any, path: str, is_parquet: bool, separator: str) -> None:
    if is_parquet:
        named = value.rename(columns=str) if not all(isinstance(name, str) for name in value.columns) else value
        named.to_parquet(path, index=False)
    else:
        value.to_csv(path, sep=separator, header=False, index=False)


def join(parts: Sequence[str], target: str, is_parquet: bool) -> None:
    """All parts in one file, read piece by piece."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    beside = target + ".new"
    if is_parquet:
        _join_parquet(parts, beside)
    else:
        with open(beside, "wb") as file:
            for part in parts:
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
    os.replace(beside, target)


def _join_parquet(parts: Sequence[str], target: str) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    schema = _common(pyarrow, [parquet.read_schema(part).remove_metadata() for part in parts])
    texts = [field.name for field in schema if pyarrow.types.is_string(field.type)]
    with parquet_writer(target, schema, "snappy") as writer:
        for table in _ahead(_tables(parts, schema, texts)):
            writer.write_table(table)


def _tables(parts: Sequence[str], schema: Any, texts: List[str]) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet as parquet

    for part in parts:
        for batch in parquet.ParquetFile(part, read_dictionary=texts).iter_batches(JOINED_ROWS):
            yield _fitted(pyarrow, batch, schema)


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same, each made while the one before is used."""
    with futures.ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, None)
        while True:
            item = coming.result()
            if item is None:
                return
            coming = reader.submit(next, items, None)
            yield item


def parquet_writer(path: str, schema: Any, compression: str) -> Any:
    """Columns of few different values hold each once (a dictionary); fractions and numbers of rows are all different.

    ``compression``: ``none`` for what is soon read again and removed.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    types = pyarrow.types
    few = [field.name for field in schema if field.name != "row" and not types.is_floating(field.type)]
    return parquet.ParquetWriter(path, schema, use_dictionary=few or False, compression=compression)


def _common(pyarrow: Any, schemas: Iterable[Any]) -> Any:
    """A schema that every part fits: a column of nothing takes the type it has elsewhere, whole numbers meet
    fractions as fractions."""
    fields = {}  # type: dict
    for schema in schemas:
        for field in schema:
            held = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
            before = fields.get(field.name)
            fields[field.name] = held if before is None else _wider(pyarrow, field.name, before, held)
    return pyarrow.schema(list(fields.items()))


def _wider(pyarrow: Any, name: str, one: Any, other: Any) -> Any:
    kinds = pyarrow.types
    if one == other or kinds.is_null(other):
        return one
    if kinds.is_null(one):
        return other
    number = [kinds.is_integer(each) or kinds.is_floating(each) for each in (one, other)]
    if all(number):
        whole = kinds.is_integer(one) and kinds.is_integer(other)
        return pyarrow.int64() if whole else pyarrow.float64()
    try:
        pair = [pyarrow.schema([(name, each)]) for each in (one, other)]
        return pyarrow.unify_schemas(pair, promote_options="permissive").field(0).type
    except (pyarrow.ArrowException, TypeError) as error:  # TypeError: pyarrow before 14 knows no promotion
        raise NotRows(
            "column '%s' is %s in one place and %s in another; return the same types" % (name, one, other)
        ) from error


def _fitted(pyarrow: Any, batch: Any, schema: Any) -> Any:
    names = batch.schema.names
    columns = [
        batch.column(names.index(field.name)).cast(field.type)
        if field.name in names
        else pyarrow.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pyarrow.table(columns, schema=schema)


def move(source: str, target: str) -> List[str]:
    """Lay the files in ``source`` into ``target``; their names below it."""
    moved = []
    for folder, _, names in os.walk(source):
        for name in sorted(names):
            below = os.path.relpath(os.path.join(folder, name), source)
            place = os.path.join(target, below)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copyfile(os.path.join(folder, name), place)
            moved.append(below)
    return moved


def _is_one(result: Any) -> bool:
    """Nothing, or one thing where several are expected."""
    single = result is None or isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__")
    return single or getattr(result, "ndim", 1) == 0


def _is_frame(value: Any) -> bool:
    return hasattr(value, "to_csv") and hasattr(value, "columns")
