"""What a table's file says is what the model is given: nothing is moved, wrapped round or taken for something else."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy
import pandas
import pyarrow
import pyarrow.parquet as parquet
import pytest
from minibatch_runs import Bench
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from doubleloop import scorer
from doubleloop.minibatches import reading, rows, tables, typed, worker


def columns(**types: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind, "required": True} for name, kind in types.items()]


def given(path: Path, inputs: list[dict[str, Any]]) -> pandas.DataFrame:
    """What the model is given of a file."""
    reader = reading.Reader(inputs)
    pieces = reader.pieces(str(path), {"groups": None})
    return pandas.concat([typed.table(reading.frame(each, reader.texts), inputs) for each in pieces])


def lines(*rows: Any) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


NOON = pandas.Timestamp(2024, 1, 31, 12)
REFUSED = {
    "a.csv: a:double b:long": (b"a,b\n0,2,\n1,4,\n", "more values than its first line has names ('a', 'b')"),
    "b.csv: a:double b:long": (b"a;b\n1;2\n", "columns 'a', 'b' are missing; the file has 'a;b'; put commas between"),
    "c.csv: a:double": (b"b\n1\n", "the column 'a' is missing; the file has 'b'"),
    "d.csv: a:string": (b"a\n\xe9\n", "it is not text in UTF-8"),
    "e.csv: a:double": (b"a\n1\n2,3\n", "it is no table: Error tokenizing data. C error: Expected 1 fields in line 3"),
    "f.csv: a:integer": (b"a\n3000000005\n", "column 'a' takes integer: a number does not fit into 32 bits"),
    "g.csv: a:long": (b"a\n9223372036854775808\n", "column 'a' takes long: a number does not fit into 64 bits"),
    "h.csv: a:double": (b"a\n1\nold\n", "column 'a', row 1 takes double: 'old' is no number"),
    "i.csv: a:long": (b"a,b\n1,\n,\n", "column 'a', row 1 takes long: the value is missing"),
    "j.csv: a:boolean": (b"a\n1\nyes\n", "column 'a', row 1 takes boolean: 'yes' is neither true nor false"),
    "k.csv: a:datetime": (b"a\n20240131\n", "column 'a' takes datetime: a number does not say what it counts from"),
    "l.csv: a:datetime": (b"a\n2024-01-31\nsoon\n", "column 'a', row 1 takes datetime: 'soon' is no time as ISO 8601"),
    "m.jsonl: a:double": (b'{"a": 1}\n\n{"a":\n', "line 3 is no JSON: Expecting value at character 6"),
    "n.jsonl: a:double": (b"[1]", "line 1 holds no object"),
    "o.parquet: a:double": ({"a": [NOON]}, "column 'a' takes double: dates and times are no numbers"),
    "p.parquet: a:string b:string": ({"b": ["x"]}, "the column 'a' is missing; the file has 'b'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    name, _, types = case.partition(": ")
    content, words = REFUSED[case]
    if isinstance(content, dict):
        parquet.write_table(pyarrow.table(content), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(reading.Unreadable) as refused:
        given(tmp_path / name, columns(**dict(each.split(":") for each in types.split())))
    assert words in str(refused.value)


def test_whole_numbers_that_are_texts_keep_their_digits_beside_missing_ones(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"code": pyarrow.array([1, None, 3])}), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_bytes(lines({"code": 1}, {"code": None}, {"code": 3}))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines({"code": 1}, {}, {"code": 3})))
    for name in ("a.parquet", "b.jsonl", "c.jsonl.gz"):
        found = given(tmp_path / name, columns(code="string"))["code"]
        assert found.dropna().tolist() == ["1", "3"] and found.isna().tolist() == [False, True, False]


def test_moments_are_those_of_utc_whatever_zone_and_length_they_are_written_in(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("at\n2024-01-31T12:00:00Z\n2024-01-31T13:00:00.000+01:00\n")
    zoned = pyarrow.array([NOON.tz_localize(datetime.UTC)] * 2, pyarrow.timestamp("ms", "Europe/Berlin"))
    parquet.write_table(pyarrow.table({"at": zoned}), tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").write_bytes(lines({"at": "2024-01-31T12:00:00"}, {"at": None}))
    for name in ("a.csv", "b.parquet", "c.jsonl"):
        found = given(tmp_path / name, columns(at="datetime"))["at"]
        assert found.dt.tz is None and set(found.dropna()) == {NOON}


@pytest.mark.parametrize(
    ("mode", "shape", "found"),
    [
        ("RGB", [-1, 2, 3, 3], [200, 100, 50]),
        ("P", [-1, 2, 3, 3], [204, 102, 51]),  # the nearest of the palette's colours, whose place there is another
        ("L", [-1, -1, -1, 3], [124, 124, 124]),
        ("L", [-1, 2, 3, 1], [124]),
        ("L", [-1, 2, 3], 124),
        ("RGBA", [-1, 2, 3, 3], "an array of [2, 3, 4] (height, width, channels), the model takes [2, 3, 3]"),
        ("RGB", [-1, 3, 2, 3], "an array of [2, 3, 3] (height, width, channels), the model takes [3, 2, 3]"),
        ("P", [-1, 2, 3], "an array of [2, 3, 3]"),
    ],
)
def test_an_image_is_given_as_the_models_tensor_has_it(tmp_path: Path, mode: str, shape: list[int], found: Any) -> None:
    Image.new("RGB", (3, 2), (200, 100, 50)).convert(mode).save(tmp_path / "a.png")
    pieces = reading.Reader([], {"shape": shape, "dtype": "uint8"}).pieces(str(tmp_path / "a.png"), {})
    if isinstance(found, str):
        with pytest.raises(reading.Unreadable, match=re.escape(found)):
            next(pieces)
    else:
        array = next(pieces)
        assert array.shape[:3] == (1, 2, 3) and array[0, 0, 0].tolist() == found


MODEL = """
import pandas

class Answers:
    def predict(self, frame, params=None):
        if frame["a"].iloc[0] < 0:
            return None
        many = [[] if each < 1 else [each] for each in frame["a"]]
        return pandas.DataFrame({"file": "own", "row": [None if each < 1 else 1 for each in frame["a"]], "many": many})

def _load_pyfunc(path):
    return Answers()
"""


def test_rows_are_told_apart_by_the_path_of_their_file_and_answers_may_widen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.root / "answers.py").write_text(MODEL)
    signature = mlflow.models.infer_signature(pandas.DataFrame({"a": [1.5]}))
    mlflow.pyfunc.save_model(
        bench.root / "saved", loader_module="answers", code_paths=[str(bench.root / "answers.py")],
        signature=signature, pip_requirements=["pandas"],
    )  # fmt: skip
    for folder, text in (("x", "a\n0\n0\n2\n"), ("y", "a\n3\n"), ("z", "a\n-1\n")):
        (bench.root / "data" / folder).mkdir()
        (bench.root / "data" / folder / "same.csv").write_text(text)
    again = {"name": "again", "path": str(bench.root / "data" / "y" / "same.csv"), "type": "uri_file"}
    data = {"name": "data", "path": str(bench.root / "data"), "type": "uri_folder"}
    out = bench.root / "out" / "a.parquet"
    entry = {"kind": "mlflow", "model": str(bench.root / "saved")}
    code, said = bench.run(entry=entry, inputs=[data, again], append_to=str(out), size=10)
    assert code == 0, said
    found = parquet.read_table(out)
    assert found.column_names == ["row", "prediction_file", "prediction_row", "many", "file"]
    assert found["file"].to_pylist() == ["data/x/same.csv"] * 3 + ["data/y/same.csv", "again/same.csv"]
    assert found["many"].to_pylist() == [[], [], [2.0], [3.0], [3.0]]
    assert bench.summary()["failed"] == [
        {"file": "data/z/same.csv",
         "error": "the model answered NoneType; it must answer with one prediction for each row"}
    ]  # fmt: skip
    # Columns whose types change within one file, from one piece to the next.
    monkeypatch.setattr(reading, "PIECE_ROWS", 2)
    pieces = list(tables.Model(str(bench.root / "saved")).score(str(bench.root / "data/x/same.csv"), {
        "row": 0, "groups": None}, planned=False, label="s"))  # fmt: skip
    count = worker._write_parquet(iter(pieces), lambda piece: str(bench.root / f"{piece}"))
    assert count == 2
    rows.join([str(bench.root / f"{piece}.new") for piece in range(count)], str(out), True)
    assert parquet.read_table(out)["prediction_row"].to_pylist() == [None, None, 1.0]


@pytest.mark.parametrize("booster", [False, True])
def test_without_signature_columns_are_those_that_the_model_was_trained_on(tmp_path: Path, booster: bool) -> None:
    frame = pandas.DataFrame({"a b": numpy.arange(60.0), "c": numpy.arange(60.0)[::-1] ** 2})
    fitted = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(frame, frame["a b"])
    saved = fitted.booster_ if booster else fitted
    mlflow.lightgbm.save_model(saved, tmp_path / "model", pip_requirements=["lightgbm"])
    frame[["c", "a b"]].to_csv(tmp_path / "a.csv")  # in another order, and with an index
    found = tables.Model(str(tmp_path / "model")).score(str(tmp_path / "a.csv"), {"row": 0, "groups": None}, False)
    numpy.testing.assert_allclose(pandas.concat(found)["prediction"], fitted.predict(frame))


def test_a_model_of_texts_is_given_texts_whether_compiled_or_not(tmp_path: Path) -> None:
    texts, labels = ["good film", "text", "bad film", "text"], ["p", "n", "q", "n"]
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(texts, labels)
    signature = mlflow.models.infer_signature(pandas.DataFrame({"text": texts}), numpy.array(labels))
    mlflow.sklearn.save_model(fitted, tmp_path / "model", signature=signature, pip_requirements=["scikit-learn"])
    (tmp_path / "a.csv").write_text("text\ngood film\n")  # a frame of one row is one text to scikit-learn: its column
    for compiled in (True, False):
        model = tables.Model(str(tmp_path / "model"), str(Path(scorer.__file__).parent), compiled=compiled)
        model.begin()
        found = pandas.concat(model.score(str(tmp_path / "a.csv"), {"row": 0, "groups": None}, planned=compiled))
        assert found["prediction"].tolist() == ["p"]


FORKS = """
import os, time
def run(mini_batch):
    child = os.fork()
    if not child:
        for stream in (0, 1, 2):
            os.close(stream)
        time.sleep(300)
    open(os.path.join("..", "child"), "w").write(str(child))
    os._exit(3)
"""


def test_a_process_that_died_is_missed_though_what_it_forked_lives_on(bench: Bench) -> None:
    bench.files(1)
    bench.script(FORKS)
    with open(bench.root / "said", "w") as said:
        process = subprocess.Popen(bench.command(max_retries=0), cwd=bench.root / "code", stdout=said, stderr=said)
    try:
        assert process.wait(timeout=60) == 1
    finally:
        process.kill()
        os.kill(int((bench.root / "child").read_text()), signal.SIGKILL)
    assert "its process ended with exit code 3" in (bench.root / "said").read_text()


def test_a_long_array_is_one_line(tmp_path: Path) -> None:
    rows.write(numpy.full((2, 1200), 0.125), str(tmp_path / "rows"), False)
    assert [len(json.loads(line)) for line in (tmp_path / "rows").read_text().splitlines()] == [1200, 1200]
