"""What people have as texts is read with its places, and what is wrong with it is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest

from doubleloop.labeling import exporting
from doubleloop.recipes.language import reading, splitting
from doubleloop.recipes.shared.problems import BadData
from doubleloop.specs.kinds.labeling import Labeling


def write(folder: Path, name: str, content: str | bytes) -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def labelled(path: str, **more: Any) -> Any:
    return reading.labelled(reading.texts(reading.rows(path), "text"), "text", "label", **more)


def test_tables_of_all_forms_hold_the_same_rows(tmp_path: Path) -> None:
    rows = [{"text": 'He said "no,\nnever"', "label": "a"}, {"text": "größer", "label": "b"}]
    pandas.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    for each in (
        str(tmp_path / "t.parquet"),
        write(tmp_path, "t.csv", '\ufefftext,label\n"He said ""no,\nnever""",a\ngrößer,b\n'),
        write(tmp_path, "t.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n"),
        write(tmp_path, "t.json", json.dumps(rows)),
        write(tmp_path, "u.csv", 'text,label\n"He said ""no,\nnever""",a\ngrößer,b\n'.encode("utf-16")),
    ):
        assert [row.values for row in reading.rows(each)] == rows, each
    assert len(reading.rows(str(tmp_path))) == 10


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", b"text,label\nfine,a\ncaf\xe9,b\n", ["t.csv, line 3", "0xe9", "encoding"]),
        ("t.csv", "text,label\nfine,a\none,two,three\n", ["t.csv, row 2", "3 values", "double quotes"]),
        ("t.csv", "text,label\n ,a\n", ["t.csv, row 1", "empty", "drop"]),
        ("t.csv", "body,label\nx,a\n", ["t.csv, row 1", "no column 'text'", "body, label"]),
        ("t.csv", "text,label\na\0b,a\n", ["t.csv, row 1", "NUL"]),
        ("t.csv", f"text,label\nshort,a\n{'x' * 10_000_001},b\n", ["t.csv, row 2", "10,000,001", "max_chars"]),
        ("t.csv", "text,label\nx,spam\ny,\n", ["t.csv, row 2", "'label' is empty"]),
        ("t.csv", "text,label\nx,spam\ny,Spam\n", ["t.csv, row 2", "'Spam' is outside the schema (spam, ham)"]),
        ("t.csv", "text,label\nSame  text,spam\nsame text,ham\n", ["t.csv, row 2", "'spam' in t.csv, row 1", "drop"]),
        ("t.csv", "", ["t.csv is empty"]),
        ("t.jsonl", '{"text": "x", "label": "spam"}\n{"text": ', ["t.jsonl, row 2", "not JSON"]),
        ("t.jsonl", '["x"]', ["t.jsonl, row 1", "list"]),
        ("t.jsonl", '{"text": 5, "label": "spam"}', ["t.jsonl, row 1", "int, not a text"]),
        ("t.jsonl", '{"text": "x", "label": ["spam"]}', ["t.jsonl, row 1", "not one label"]),
        ("t.parquet", b"PK", ["t.parquet is not a Parquet file"]),
        ("t.docx", b"PK", ["t.docx is no table"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_row(tmp_path: Path, name: str, content: Any, told: list[str]) -> None:
    with pytest.raises(BadData) as raised:
        labelled(write(tmp_path, name, content), allowed=["spam", "ham"])
    assert all(each in str(raised.value) for each in told), raised.value


def test_rows_without_a_text_and_conflicts_are_dropped_on_request(tmp_path: Path) -> None:
    file = write(tmp_path, "t.csv", "text,label\nA,x\na,y\n,x\nb,y\n")
    found = reading.texts(reading.rows(file), "text", empty="drop")
    assert [(row.number, said) for row, said in reading.labelled(found, "text", "label", conflicts="drop")] == [
        (4, "y")
    ]


SPANS = [{"start": 0, "end": 12, "label": "PER"}, {"start": 21, "end": 26, "label": "LOC"}]
TEXT = "Ada Lovelace went to Paris."


def test_the_labelling_rooms_exports_of_spans_are_read_alike(tmp_path: Path) -> None:
    spec = Labeling.model_construct(task="entity_spans")
    each = exporting.Labelled(SimpleNamespace(content=TEXT, kind="text", number=1), SPANS)  # type: ignore[arg-type]
    found = {}
    for format_, name in (("conll", "labels.conll"), ("labelstudio", "tasks.json")):
        content = exporting.files(spec, [each], None, format_)[name]
        found[format_] = reading.sequences(write(tmp_path, name, content))
    found["jsonl"] = reading.sequences(write(tmp_path, "l.jsonl", json.dumps({"text": TEXT, "label": SPANS})))
    found["csv"] = reading.sequences(
        write(tmp_path, "l.csv", f'text,label\n{TEXT},"{json.dumps(SPANS).replace(chr(34), chr(34) * 2)}"\n')
    )
    wanted = ("B-PER", "I-PER", "O", "O", "B-LOC", "O")
    for name, sentences in found.items():
        assert [sentence.tags for sentence in sentences] == [wanted], name
        assert sentences[0].tokens == ("Ada", "Lovelace", "went", "to", "Paris", ".")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.conll", "Ada B-PER\nwent\n", ["t.conll, line 2", "token and its tag"]),
        ("t.conll", "Ada B-PER\n\nParis B-TOWN\n", ["t.conll, line 3", "'B-TOWN'", "PER, LOC"]),
        ("t.jsonl", '{"text": "Ada", "label": [{"start": 0, "end": 9, "label": "PER"}]}', ["row 1", "0-9", "outside"]),
        ("t.jsonl", '{"text": "Ada", "label": [{"from": 0}]}', ["row 1", "start, end, label"]),
        ("t.jsonl", '{"text": "Ada left", "label": ["B-PER"]}', ["row 1", "1 tags for 2 tokens"]),
        (
            "t.jsonl",
            '{"text": "Ada", "label": [{"start": 0, "end": 3, "label": "A"}, {"start": 2, "end": 3, "label": "B"}]}',
            ["row 1", "overlap"],
        ),
    ],
)  # fmt: skip
def test_wrong_tags_and_spans_are_told_with_their_place(
    tmp_path: Path, name: str, content: str, told: list[str]
) -> None:  # fmt: skip
    with pytest.raises(BadData) as raised:
        reading.sequences(write(tmp_path, name, content), allowed=["PER", "LOC"])
    assert all(each in str(raised.value) for each in told), raised.value


def test_a_text_stays_on_its_side_when_others_come() -> None:
    keys = [f"text {number}" for number in range(500)]
    few, many = splitting.held_out(keys[:250], 0.2), splitting.held_out(keys, 0.2)
    assert many[:250] == few and 0.12 < sum(many) / 500 < 0.28
    assert splitting.held_out(["a", "a", "b", "b"], 0.01) in ([True, True, False, False], [False, False, True, True])
    with pytest.raises(BadData, match="one text"):
        splitting.held_out(["a", "a"], 0.5)
    with pytest.raises(BadData, match="test_size is 1"):
        splitting.held_out(keys, 1)
