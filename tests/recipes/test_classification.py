"""Classification components: the same numbers as scikit-learn by hand, models that take raw rows, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from doubleloop.recipes.shared import run


def trained(folder: Path, table: pandas.DataFrame, **options: Any) -> int:
    """Runs the component as a job would; ``model`` and ``evaluation`` lie in ``folder``."""
    table.to_csv(folder / "rows.csv", index=False)
    told = {
        "task": "binary", "training_data": folder / "rows.csv", "target": "target", "model": folder / "model",
        "evaluation": folder / "evaluation", **options,
    }  # fmt: skip
    words = [word for name, value in told.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return run.main(["classical.classification", *words])


def measured(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "evaluation" / "metrics.json").read_text()))


def cancer() -> pandas.DataFrame:
    return load_breast_cancer(as_frame=True).frame


def test_the_metrics_are_those_of_scikit_learn_on_the_same_rows(tmp_path: Path) -> None:
    table = cancer()
    assert trained(tmp_path, table) == 0
    x, y = table.drop(columns="target"), table["target"]
    train, test, seen, truth = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, seen)
    chance, answer = model.predict_proba(test), model.predict(test)
    told = measured(tmp_path)
    expected = {
        "accuracy": accuracy_score(truth, answer), "f1": f1_score(truth, answer),
        "auc": roc_auc_score(truth, chance[:, 1]), "log_loss": log_loss(truth, chance),
        "average_precision": average_precision_score(truth, chance[:, 1]),
    }  # fmt: skip
    assert {name: told["metrics"][name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert told["baseline"]["metrics"]["accuracy"] == pytest.approx(truth.mean())
    assert told["rows"] == {"train": 455, "test": 114} and told["positive_label"] == 1


def test_the_model_takes_raw_rows_with_gaps_and_words_that_it_has_never_seen(tmp_path: Path) -> None:
    chance = numpy.random.default_rng(0)
    table = pandas.DataFrame({
        "age": numpy.where(chance.random(300) < 0.1, numpy.nan, chance.integers(18, 80, 300)),
        "town": chance.choice(["Rome", "Oslo"], 300),
        "id": [f"c{number}" for number in range(300)],
    })  # fmt: skip
    table["target"] = numpy.where(table["town"] == "Oslo", "yes", "no")
    assert trained(tmp_path, table, method="gradient_boosting", trees=20, slice_columns="town, age") == 0
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert [each.name for each in model.metadata.signature.inputs] == ["age", "town"]  # not the identifier
    rows = pandas.DataFrame({"age": [20.0, numpy.nan, 30.0], "town": ["Oslo", "Rome", "Bonn"]})
    assert list(model.predict(rows))[:2] == ["yes", "no"] and model.predict(rows)[2] in ("yes", "no")
    slices = pandas.read_csv(tmp_path / "evaluation" / "slices.csv")
    assert list(slices[slices["column"] == "town"]["value"]) == ["Oslo", "Rome"]
    assert slices[slices["column"] == "town"]["rows"].sum() == measured(tmp_path)["rows"]["test"]
    assert slices[slices["column"] == "town"]["auc"].isna().all()  # one class in each: not defined


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"target": "targt"}, "no column 'targt'; did you mean target?"),
        ({"target": [0, 1, 2] * 10}, {}, "3 classes (0, 1, 2), not two; use multiclass_classification"),
        ({"target": [1] * 30}, {}, "1 classes (1), not two; give rows of both classes"),
        ({"target": [0] * 29 + [1]}, {}, "class '1' of column 'target' is in one row only"),
        ({"target": [0, 1, None] * 10}, {}, "no value of 'target' in row 3 (and 9 more)"),
        ({"a": [7] * 30}, {}, "no column to learn from"),
        ({}, {"positive_label": "yes"}, "no class 'yes'; there are: 0, 1"),
    ],
)
def test_bad_data_is_refused_with_a_sentence(
    tmp_path: Path, capsys: Any, change: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    table = pandas.DataFrame({"a": range(30), "target": [0, 1] * 15}).assign(**change)
    assert trained(tmp_path, table, **options) == 65
    assert said in capsys.readouterr().err
    assert not (tmp_path / "model").exists() and not (tmp_path / "evaluation").exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": b""}, "a.csv is empty"),
        ({"a.csv": b"x,target\n"}, "has no rows"),
        ({"a.csv": b"x,target\n1,2,3\n4,5,6,7\n8,9\n"}, "a.csv cannot be read as a table"),
        ({"a.csv": b"x,target\n\xff\xfe,1\n"}, "a.csv is not UTF-8"),
        (
            {"a.csv": b"x,target\n1,0\n", "b.csv": b"x,y\n1,0\n"},
            "b.csv has not the columns of a.csv (differing: target, y)",
        ),
        ({"a.docx": b"PK"}, "a.docx is not a kind of table that is read"),
        ({}, "holds no file"),
    ],
)
def test_files_that_are_no_table_are_refused_by_name(
    tmp_path: Path, capsys: Any, files: dict[str, bytes], said: str
) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert trained(tmp_path, cancer(), training_data=folder) == 65
    assert said in capsys.readouterr().err
