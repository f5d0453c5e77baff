"""MLflow models without a script, over CSV, Parquet and JSON lines."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pyarrow
import pyarrow.parquet as parquet
import pytest
from minibatch_runs import Bench
from mlflow.models import infer_signature
from mlflow.types.schema import ColSpec, Schema
from PIL import Image
from sklearn.linear_model import LinearRegression

from doubleloop.minibatches import reading, tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """total = 2 * hours + age, with a whole number, a fraction."""
    frame = pandas.DataFrame({"hours": [1.0, 2.0, 3.5, 4.0], "age": [1, 5, 2, 9]})
    fitted = LinearRegression().fit(frame, 2 * frame["hours"] + frame["age"])
    folder = tmp_path_factory.mktemp("model") / "model"
    signature = infer_signature(frame, pandas.DataFrame({"total": [1.0]}))
    mlflow.sklearn.save_model(fitted, folder, signature=signature, pip_requirements=["scikit-learn"])
    return folder


def scored(bench: Bench, model: Path, **given: Any) -> tuple[int, str]:
    return bench.run(entry={"kind": "mlflow", "model": str(model)}, model_dir=str(model.parent), **given)


def test_rows_of_all_kinds_of_files_are_scored_with_their_number_and_file(bench: Bench, model: Path) -> None:
    data = bench.root / "data"
    frame = pandas.DataFrame({"age": [1, 2], "other": ["a", "b"], "hours": [1.5, 2]})
    frame.to_csv(data / "a.csv", index=False)
    frame.to_parquet(data / "b.parquet")
    frame.to_json(data / "c.jsonl", orient="records", lines=True)
    frame.to_csv(data / "d.tsv", index=False, sep="\t")
    (data / "_SUCCESS").touch()  # Spark's, and Delta Lake's
    (data / "_delta_log").mkdir()
    (data / "_delta_log" / "0.json").write_text("{}")
    code, said = scored(bench, model, error_threshold=0)
    assert code == 0, said
    found = pandas.read_csv(bench.root / "out" / "predictions.csv", header=None, names=["row", "total", "file"])
    assert found["file"].tolist() == ["a.csv"] * 2 + ["b.parquet"] * 2 + ["c.jsonl"] * 2 + ["d.tsv"] * 2
    assert found["row"].tolist() == [0, 1] * 4
    assert found["total"].to_numpy() == pytest.approx([4, 6] * 4)


def test_a_file_that_does_not_fit_is_told_and_its_neighbours_are_scored(bench: Bench, model: Path) -> None:
    data = bench.root / "data"
    (data / "a.csv").write_text("hours,age\n1,2\n")
    (data / "b.csv").write_text("hours\n1\n")
    (data / "c.csv").write_text("hours,age\n1,old\n")
    (data / "d.csv").write_text("hours,age\n1,2.5\n")
    (data / "e.xlsx").write_text("")
    code, said = scored(bench, model, size=10)
    assert code == 0, said
    assert len(bench.rows()) == 1
    failed = {each["file"]: each["error"] for each in bench.summary()["failed"]}
    assert failed["b.csv"] == "the column 'age' is missing; the file has 'hours'"
    assert failed["c.csv"].startswith("column 'age', row 0 takes long:")
    assert failed["d.csv"] == "column 'age', row 0 takes long: 2.5 has a fraction"
    assert failed["e.xlsx"].startswith("files of type '.xlsx' cannot be read without a scoring script")
    assert scored(bench, model, size=10, error_threshold=3)[0] == 1


def test_a_large_parquet_file_is_scored_in_parts_and_comes_out_whole_as_parquet(bench: Bench, model: Path) -> None:
    rows = 600_000
    hours = numpy.arange(rows, dtype=float)
    table = pyarrow.table({"hours": hours, "age": numpy.ones(rows, dtype="int64")})
    parquet.write_table(table, bench.root / "data" / "big.parquet", row_group_size=100_000)
    out = bench.root / "out" / "scores.parquet"
    code, said = scored(bench, model, append_to=str(out), size=1)
    assert code == 0, said
    assert bench.summary()["mini_batches"] == 2  # 300,000 rows each: the first cut at or above 250,000
    found = pandas.read_parquet(out)
    assert list(found.columns) == ["row", "total", "file"]
    assert (found["row"].to_numpy() == numpy.arange(rows)).all()
    assert found["total"].to_numpy() == pytest.approx(2 * hours + 1)


LIGHTS = """
import io, numpy, pandas
from PIL import Image

class Lights:
    def predict(self, frame, params=None):
        light = [numpy.asarray(Image.open(io.BytesIO(each))).mean() for each in frame["image"]]
        return pandas.DataFrame({"prediction": ["light" if each > 127 else "dark" for each in light]})

def _load_pyfunc(path):
    return Lights()
"""


def test_images_are_scored_as_files_and_in_tables(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "lights.py").write_text(LIGHTS)
    signature = infer_signature(pandas.DataFrame({"image": [b"x"]}), pandas.DataFrame({"prediction": ["dark"]}))
    mlflow.pyfunc.save_model(
        tmp_path / "model", loader_module="lights", code_paths=[str(tmp_path / "lights.py")], signature=signature,
        pip_requirements=["pillow"],
    )  # fmt: skip
    data, made = bench.root / "data", []
    for light in (10, 200):
        file = io.BytesIO()
        Image.fromarray(numpy.full((4, 4), light, numpy.uint8)).save(file, "PNG")
        made.append(file.getvalue())
    (data / "a.png").write_bytes(made[1])
    pandas.DataFrame({"image": [base64.b64encode(each).decode() for each in made]}).to_csv(data / "b.csv", index=False)
    pandas.DataFrame({"image": made}).to_parquet(data / "c.parquet")
    (data / "d.csv").write_text("image\nno base64!\n")
    code, said = scored(bench, tmp_path / "model", size=10)
    assert code == 0 and "d.csv" in said and "column 'image', row 0 takes binary" in said, said
    found = [row.split(",") for row in bench.rows()]
    assert found == [["0", "light", "a.png"], ["0", "dark", "b.csv"], ["1", "light", "b.csv"],
                     ["0", "dark", "c.parquet"], ["1", "light", "c.parquet"]]  # fmt: skip


SEEN = """
import mlflow

class Seen(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        seen = [repr({name: str(value) for name, value in row.items()}) for row in model_input.to_dict("records")]
        return model_input.assign(seen=seen)[["seen"]]

mlflow.models.set_model(Seen())
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tables.Model:
    """A model that answers with what it was given; it may be given nothing."""
    folder = tmp_path_factory.mktemp("seen")
    (folder / "seen.py").write_text(SEEN)
    kinds = {"date": "string", "exact": "double", "yes": "boolean", "at": "datetime"}
    inputs = Schema([ColSpec(kind, name, required=False) for name, kind in kinds.items()])
    signature = mlflow.models.ModelSignature(inputs, Schema([ColSpec("string", "seen")]))
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(folder / "seen.py"), signature=signature, pip_requirements=["mlflow"]
    )
    return tables.Model(str(folder / "model"))


def rows_of(model: tables.Model, path: Path) -> list[tuple[str, dict[str, str]]]:
    """The file that each row's answer names, and what the model was given."""
    item = {"path": f"a/{path.name}", "groups": None, "row": 0}
    frames = list(model.score(str(path), item, False, label=item["path"]))
    return [(str(row.file), eval(row.seen)) for frame in frames for row in frame.itertuples()]  # noqa: S307 - our own


def test_files_are_read_as_requests_are(seen: tables.Model, tmp_path: Path) -> None:
    lines, parquets, text = tmp_path / "a.jsonl", tmp_path / "b.parquet", tmp_path / "c.csv"
    lines.write_text(
        '{"date": "2024-01-01T10:00:00Z", "exact": 0.12345678901234566, "yes": null, "at": "2024-02-29T12:00+02:00"}\n'
        '{"date": "x", "exact": 1, "yes": true, "at": "2024-02-29"}\n'
    )
    assert rows_of(seen, lines) == [
        ("a/a.jsonl", {"date": "2024-01-01T10:00:00Z", "exact": "0.12345678901234566", "yes": "None",
                       "at": "2024-02-29 10:00:00"}),
        ("a/a.jsonl", {"date": "x", "exact": "1.0", "yes": "True", "at": "2024-02-29 00:00:00"}),
    ]  # fmt: skip
    pandas.DataFrame({"at": pandas.to_datetime(["2024-02-29T12:00Z"])}).to_parquet(parquets)  # no text column at all
    assert rows_of(seen, parquets) == [("a/b.parquet", {"at": "2024-02-29 12:00:00"})]
    text.write_text("at,yes\n2024-02-29T12:00:00Z,\n,1\n")
    assert [row for _, row in rows_of(seen, text)] == [
        {"yes": "None", "at": "2024-02-29 12:00:00"}, {"yes": "True", "at": "NaT"}
    ]  # fmt: skip
    text.write_text("at,yes\n")
    assert rows_of(seen, text) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"at\n1709208000\n", "column 'at' takes datetime: a number does not say what it counts from"),
        ("b.csv", b"at\n2024-02-29\n01/02/2024\n", "'01/02/2024' is no time as ISO 8601 has it"),
        ("c.csv", b"date\nK\xf6ln\n", "it is not text in UTF-8: the byte 0xf6"),
        ("d.csv", b"", "it is empty"),
        ("e.csv", b"date;at\nx;y\n", "it has none of the columns that the model takes: 'date', 'exact'"),
        ("f.jsonl", b'{"at": 1709208000000}\n', "a number does not say what it counts from"),
    ],
)
def test_what_a_file_has_wrong_is_told_in_words(
    seen: tables.Model, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(reading.Unreadable, match=re.escape(said)):
        rows_of(seen, tmp_path / name)


def test_tables_are_the_rows_of_a_model_of_one_tensor(tmp_path: Path) -> None:
    rows = numpy.array([[1.0, 2.0], [2.0, 5.0], [3.5, 2.0]])
    fitted = LinearRegression().fit(rows, 2 * rows[:, 0] + rows[:, 1])
    signature = infer_signature(rows, fitted.predict(rows))
    mlflow.sklearn.save_model(fitted, tmp_path / "model", signature=signature, pip_requirements=["scikit-learn"])
    model = tables.Model(str(tmp_path / "model"))
    item = {"path": "", "groups": None, "row": 0}
    pandas.DataFrame(rows, columns=["b", "a"]).to_parquet(tmp_path / "rows.parquet")
    (found,) = model.score(str(tmp_path / "rows.parquet"), item, False)
    assert found["prediction"].to_numpy() == pytest.approx(fitted.predict(rows))
    for text, said in (
        ("b,a,c\n1,2,3\n", "it has 3 columns, the model takes 2"),
        ("b,a\n1,x\n", "column 'a', row 0 takes double"),
    ):
        (tmp_path / "rows.csv").write_text(text)
        with pytest.raises(reading.Unreadable, match=said):
            list(model.score(str(tmp_path / "rows.csv"), item, False))
