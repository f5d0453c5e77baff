"""Tables are read the same way wherever a number is computed from them; pandas is the referee where it agrees."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from doubleloop.base import errors
from doubleloop.frames import reading as frames

MOMENTS = pl.Series(["2020-02-29T12:30:00", "1999-01-01T00:00:00", None]).str.to_datetime()
FRAME = pl.DataFrame(
    {
        "number": [1, 2, None], "share": [0.1, -2.5e-7, 1e300], "text": ["a", 'ß, "x"', None],
        "yes": [True, False, None], "day": [date(2020, 2, 29), date(1999, 1, 1), None], "at": MOMENTS,
    }
)  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_parquet_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(frames.to_parquet(FRAME))
    assert_frame_equal(frames.read(file), FRAME)
    FRAME.to_pandas().to_parquet(tmp_path / "y.parquet", index=False)
    assert frames.read(tmp_path / "y.parquet")["share"].to_list() == FRAME["share"].to_list()


def test_csv_comes_back_with_its_types(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(frames.to_csv(FRAME))
    found = frames.read(file)
    assert_frame_equal(found, FRAME)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False, width=64),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8),
        ),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_numbers_and_texts_survive_csv_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]]
) -> None:
    frame = pl.DataFrame({"a": [r[0] for r in rows], "b": [r[1] for r in rows], "c": ["t" + r[2] for r in rows]})
    file = tmp_path_factory.mktemp("csv") / "x.csv"
    file.write_bytes(frames.to_csv(frame))
    assert_frame_equal(frames.read(file), frame, check_exact=True)


def test_a_type_that_shows_late_in_a_file_is_seen(tmp_path: Path) -> None:
    """All rows are looked at, not the first hundred: row 20,000 holds the only text, and the only fraction."""
    text = "a,b\n" + "1,1\n" * 20_000 + "x,1.5\n"
    found = frames.read(write(tmp_path / "x.csv", text))
    assert (found.dtypes, found["a"][-1], found["b"][-1]) == ([pl.String, pl.Float64], "x", 1.5)
    lines = '{"a": 1}\n' * 20_000 + '{"a": 1.5, "b": "x"}\n'
    found = frames.read(write(tmp_path / "x.jsonl", lines))
    assert (found.schema["a"], found["b"][-1]) == (pl.Float64, "x")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "a,b\n1,x\n2,y\n"), ("x.CSV", "a,b\n1,x\n2,y\n"), ("x.tsv", "a\tb\n1\tx\n2\ty\n"),
        ("x.jsonl", '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'), ("x.ndjson", '{"b": "x", "a": 1}\n{"a": 2, "b": "y"}'),
        ("x.json", '[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]'), ("x", "a,b\n1,x\n2,y\n"), ("x.txt", "a,b\n1,x\n2,y\n"),
        ("x.csv", "\ufeffa,b\n1,x\n2,y\n"), ("x.csv", "a,b\r\n1,x\r\n2,y\r\n"), ("x.csv", "a,b\n1,x\n2,y"),
    ],
)  # fmt: skip
def test_every_ending_reads_the_same_table(tmp_path: Path, name: str, text: str) -> None:
    found = frames.read(write(tmp_path / name, text))
    assert found.select("a", "b").to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


def test_pandas_reads_the_same_numbers(tmp_path: Path) -> None:
    text = "hour,temp,kind\n0,-1.5,a\n23,1e-3,\n12,,c\n"
    found = frames.read(write(tmp_path / "x.csv", text))
    referee = pd.read_csv(io.StringIO(text))
    for column in ("hour", "temp"):
        assert found[column].to_list() == [None if pd.isna(each) else each for each in referee[column]]


def test_a_folder_is_its_tables_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "f" / "b.csv", "a\n2\n")
    write(tmp_path / "f" / "a.csv", "a\n1\n")
    write(tmp_path / "f" / "sub" / "c.csv", "a\n3.5\n")
    write(tmp_path / "f" / "README.md", "not a table")
    assert frames.read(tmp_path / "f")["a"].to_list() == [1, 2, 3.5]


def test_tables_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "f" / "a.csv", "a\n1\n")
    write(tmp_path / "f" / "b.csv", "b\n1\n")
    with pytest.raises(errors.InvalidInput, match="do not fit together"):
        frames.read(tmp_path / "f")


def test_a_folder_without_a_table_says_which_endings_are_known(tmp_path: Path) -> None:
    write(tmp_path / "f" / "README.md", "x")
    with pytest.raises(errors.InvalidInput, match="f holds no table") as caught:
        frames.read(tmp_path / "f")
    assert ".parquet" in caught.value.cure


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""), ("x.parquet", b"not parquet"), ("x.jsonl", b'{"a": 1'), ("x.json", b"[1, 2"), ("x.xlsx", b"x"),
        ("x.csv", b"a,b\n1,2,3\n"), ("x.png", b"x"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.InvalidInput) as caught:
        frames.read(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("text", ["a;b\n1;2\n", "a;b\n1;2,5\n", "a\tb\n1\t2\n", "a,b\n1,2,3\n"])
def test_a_table_whose_values_are_separated_by_something_else_is_not_taken_for_another(
    tmp_path: Path, text: str
) -> None:
    place = tmp_path / "d.csv"
    place.write_text(text)
    with pytest.raises(errors.InvalidInput) as caught:
        frames.read(place)
    assert "read_delimited" in caught.value.cure and caught.value.where and caught.value.where.file == "d.csv"


def test_a_file_that_is_not_there_names_itself(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="nothing"):
        frames.read(tmp_path / "nothing.csv")


MLTABLE = """
type: mltable
paths: {paths}
transformations: {steps}
"""


def table(folder: Path, paths: str, steps: str = "[]") -> Path:
    write(folder / "MLTable", MLTABLE.format(paths=paths, steps=steps))
    return folder


def test_an_mltable_is_read_as_it_says(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "a;b\n1;x\n2;y\n")
    write(tmp_path / "sub" / "b.csv", "a;b\n3;z\n")
    table(
        tmp_path, "[{file: ./a.csv}, {folder: sub}]", "[{read_delimited: {delimiter: ';', encoding: utf8}}, {take: 2}]"
    )
    assert frames.read(tmp_path).to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}
    table(tmp_path, "[{pattern: '*.csv'}]", "[{read_delimited: {delimiter: ';'}}]")
    assert frames.read(tmp_path).height == 2


@pytest.mark.parametrize("encoding", ["latin1", "iso88591", "utf16", "windows1252", "ascii", "utf8bom"])
def test_an_mltable_s_encoding_is_honoured(tmp_path: Path, encoding: str) -> None:
    known = {"iso88591": "iso8859-1", "windows1252": "cp1252", "utf16": "utf-16", "utf8bom": "utf-8-sig"}
    text = "a,b\n1,x\n" if encoding == "ascii" else "a,b\n1,é\n"
    (tmp_path / "a.csv").write_bytes(text.encode(known.get(encoding, encoding)))
    table(tmp_path, "[{file: a.csv}]", f"[{{read_delimited: {{encoding: {encoding}}}}}]")
    assert frames.read(tmp_path)["b"].to_list() == [text[-2]]


def test_an_mltable_step_that_is_not_there_yet_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "a\n1\n")
    table(tmp_path, "[{file: a.csv}]", "[read_delimited, {drop_columns: [a]}]")
    with pytest.raises(errors.NotSupported, match="drop_columns"):
        frames.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "paths: 1", "paths: [x]", "paths: []", "paths: [{file: none.csv}]", "a: [b",
                                  "paths: [{file: a}, 1]", "paths: [{file: {}}]", "paths: [{stream: a}]",
                                  "paths: [{file: ../../etc/passwd}]", "paths: [{pattern: '../*'}]"])  # fmt: skip
def test_an_mltable_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "table"
    write(tmp_path / "secret.csv", "a\n1\n")
    write(folder / "MLTable", text)
    with pytest.raises(errors.InvalidInput):
        frames.read(folder)


def test_pieces_of_a_parquet_file_are_its_rows_and_few_texts_stay_numbers_of_labels(tmp_path: Path) -> None:
    few = pl.Series(["autumn", None, "été"] * 100)
    frame = pl.DataFrame({"few": few, "x": range(300), "all": [f"user {number}" for number in range(300)], "same": few})
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=128)
    found = list(frames.pieces(tmp_path / "t.parquet", 100))
    assert [piece.height for piece in found] == [100, 28, 100, 28, 44]
    assert found[0].dtypes == [pl.Categorical, pl.Int64, pl.String, pl.Categorical]
    assert_frame_equal(pl.concat(found).cast({"few": pl.String, "same": pl.String}), frame)
    (tmp_path / "u.parquet").write_bytes(b"PAR1")
    with pytest.raises(errors.InvalidInput, match=r"u\.parquet cannot be read"):
        list(frames.pieces(tmp_path / "u.parquet"))


def test_of_a_large_table_evenly_spaced_stretches_are_looked_at_and_other_files_are_bounded(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": range(40_000), "text": ["a", "b"] * 20_000})
    place = tmp_path / "many"
    place.mkdir()
    for at in range(2):
        frame.slice(20_000 * at, 20_000).write_parquet(place / f"{at}.parquet", row_group_size=5_000)
    whole, rows = frames.bounded(place, 80_000, 0)
    assert_frame_equal(whole, frame)
    assert rows == 40_000
    some, rows = frames.bounded(place, 16_000, 0)
    assert (some.height, rows) == (8_000, 40_000)
    assert [some["x"][at] for at in range(0, 8_000, 1_000)] == [5_000 * at + 2_000 for at in range(8)]
    fewer, rows = frames.bounded(place, 6_000, 0)
    assert (fewer.height, rows) == (3_000, 40_000)
    assert fewer["x"].max() > 30_000
    frame.write_csv(tmp_path / "t.csv")
    assert frames.bounded(tmp_path / "t.csv", 10, 10**6)[1] == 40_000
    with pytest.raises(errors.InvalidInput, match="up to 0 MB"):
        frames.bounded(tmp_path / "t.csv", 10, 1_000)
