"""Parquet files as a table whose columns are read when they are asked for."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from doubleloop.base import errors
from doubleloop.frames import columnwise, reading

FIRST = {"x": [1.0, None, 3.0], "colour": ["red", "green", None], "n": [1, 2, 3]}
SECOND = {"x": [4.0, 5.0], "colour": ["blue", "red"], "n": [4, None]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in (("a", FIRST), ("b", SECOND)):
        parquet.write_table(pa.table(body), tmp_path / f"{name}.parquet")
    return tmp_path


def test_columns_of_several_files_are_one_table(folder):
    table = columnwise.read(folder)
    assert isinstance(table, columnwise.Columns)
    assert (table.height, list(table.schema)) == (5, ["x", "colour", "n"])
    assert table.read(["n", "x"]).to_dict(as_series=False) == {"n": [1, 2, 3, 4, None], "x": [1.0, None, 3.0, 4.0, 5.0]}


def test_labels_that_files_number_each_in_their_own_way_are_told_apart(folder):
    found = columnwise.read(folder).read(["colour"])["colour"]
    assert found.cast(pl.String).to_list() == ["red", "green", None, "blue", "red"]


def test_labels_of_many_row_groups_and_more_than_a_byte_can_number(tmp_path):
    texts = [f"label {at // 9}" for at in range(5_000)]
    parquet.write_table(pa.table({"t": texts, "u": texts[::-1]}), tmp_path / "t.parquet", row_group_size=400)
    found = columnwise.read(tmp_path / "t.parquet").read(["u", "t"])
    assert found["t"].dtype == pl.Enum
    assert found["t"].cast(pl.String).to_list() == texts
    assert found["u"].cast(pl.String).to_list() == texts[::-1]


def test_pieces_of_a_column_are_its_row_groups_in_the_files_order(folder):
    parquet.write_table(pa.table(FIRST), folder / "a.parquet", row_group_size=2)
    table = columnwise.read(folder)
    assert [part.to_pylist() for part in table.pieces("x")] == [[1.0, None], [3.0], [4.0, 5.0]]
    assert [part.to_pylist() for part in table.pieces("colour")] == [["red", "green"], [None], ["blue", "red"]]


def test_a_column_read_alone_is_what_it_is_among_others(tmp_path):
    numbers = {f"i.{bits}": pl.Series([1, None, 3], dtype=getattr(pl, f"UInt{bits}")) for bits in (8, 16, 32, 64)}
    frame = pl.DataFrame(numbers | {"f": pl.Series([0.5, None, 2.0], dtype=pl.Float32), "b": [True, None, False]})
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=2)
    table = columnwise.read(tmp_path / "t.parquet")
    for name in frame.columns:
        assert table.read([name]).equals(table.read(frame.columns).select(name))
        assert table.read([name]).schema == frame.select(name).schema
    frame.clear().write_parquet(tmp_path / "t.parquet")
    assert columnwise.read(tmp_path / "t.parquet").read(["f"]).schema == {"f": pl.Float32}


@pytest.mark.parametrize("statistics", [True, False])
def test_nulls_are_known_from_the_footers_or_else_read(tmp_path, statistics):
    file = tmp_path / "t.parquet"
    parquet.write_table(pa.table(FIRST), file, write_statistics=statistics)
    table = columnwise.read(file)
    assert [table.missing(name) for name in table.schema] == [1, 1, 0]


def test_files_of_other_columns_and_tables_that_are_not_parquet_are_read_whole(folder):
    (folder / "c.csv").write_text("x,colour,n\n6.0,red,5\n")
    whole = columnwise.read(folder)
    assert isinstance(whole, pl.DataFrame)
    assert whole.height == 6
    parquet.write_table(pa.table({"x": [1], "colour": ["red"], "n": [1]}), folder / "b.parquet")
    (folder / "c.csv").unlink()
    assert columnwise.read(folder).equals(reading.read(folder))  # x of floats beside x of whole numbers


def test_files_stay_as_long_as_the_table(tmp_path):
    scratch = tempfile.TemporaryDirectory(dir=tmp_path)
    parquet.write_table(pa.table(FIRST), Path(scratch.name) / "a.parquet")
    place = Path(scratch.name)
    table = columnwise.read(place / "a.parquet", scratch)
    del scratch
    gc.collect()
    assert table.read(["n"])["n"].to_list() == [1, 2, 3]
    del table
    gc.collect()
    assert not place.exists()


def test_a_broken_file_is_named(folder):
    (folder / "a.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(errors.InvalidInput, match=r"a\.parquet"):
        columnwise.read(folder)


def test_a_file_that_breaks_later_is_named(folder):
    table = columnwise.read(folder)
    (folder / "a.parquet").unlink()
    with pytest.raises(errors.InvalidInput, match=r"a\.parquet"):
        table.read(["x"])
