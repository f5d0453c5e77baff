"""Any number of labels for a row: metrics by hand, two ways of writing labels, a model that stands alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, hamming_loss, label_ranking_average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from doubleloop.components import queries
from doubleloop.quarantine import model as quarantine
from doubleloop.quarantine import pickles
from doubleloop.recipes.shared import run
from doubleloop.scorer import batch

RUN = str(Path(run.__file__))
X, Y = make_multilabel_classification(400, n_features=8, n_classes=3, n_labels=2, random_state=0)
LABELS = ["blue", "green", "red"]
FLAGS = pandas.DataFrame(numpy.column_stack([X, Y]), columns=[*(f"x{n}" for n in range(8)), *LABELS])
WORDS = FLAGS.drop(columns=LABELS).assign(colours=[";".join(numpy.array(LABELS)[row == 1]) for row in Y])


def options(folder: Path, table: pandas.DataFrame, target: str) -> list[str]:
    table.to_csv(folder / "rows.csv", index=False)
    told = {
        "task": "multilabel", "training-data": folder / "rows.csv", "target": target, "model": folder / "model",
        "evaluation": folder / "evaluation",
    }  # fmt: skip
    return ["classical.multilabel", *(str(word) for name, value in told.items() for word in (f"--{name}", value))]


@pytest.mark.parametrize(("table", "target"), [(FLAGS, "blue, green, red"), (WORDS, "colours")], ids=["flags", "words"])
def test_the_metrics_are_those_of_scikit_learn_on_the_same_rows(
    tmp_path: Path, table: pandas.DataFrame, target: str
) -> None:
    assert run.main(options(tmp_path, table, target)) == 0
    train, test, seen, truth = train_test_split(X, Y, test_size=0.2, random_state=0)
    model = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(max_iter=2000))).fit(train, seen)
    found = model.predict(test)
    expected = {
        "micro_f1": f1_score(truth, found, average="micro"), "macro_f1": f1_score(truth, found, average="macro"),
        "hamming_loss": hamming_loss(truth, found),
        "ranking_precision": label_ranking_average_precision_score(truth, model.predict_proba(test)),
    }  # fmt: skip
    told = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert {name: told["metrics"][name] for name in expected} == pytest.approx(expected, abs=1e-9)
    asked = table[[f"x{n}" for n in range(8)]].head(3)
    body = {"columns": list(asked), "dtypes": ["double"] * 8, "data": asked.to_numpy().tolist(), "signature": None}
    answered = batch.score(str(tmp_path / "model"), body)["predictions"]  # as an endpoint and a release ask it
    assert answered == model.predict(X[:3]).tolist()
    assert told["labels"] == LABELS and list(told["f1_by_label"]) == LABELS


def blocked(model: Path) -> str:
    """What a release's scan does not let pass."""
    found = pickles.scan(model, quarantine.Policy(queries.classes_of_catalog(model), False))
    return " ".join(each.global_name for each in found if each.severity in quarantine.BLOCKING)


@pytest.mark.slow
def test_the_model_brings_its_code_along(tmp_path: Path) -> None:
    """Trained by file path as in a job, loaded where nothing of ours can be imported."""
    done = subprocess.run(
        [sys.executable, RUN, *options(tmp_path, FLAGS, "blue, green, red")], check=False, cwd=tmp_path
    )
    assert done.returncode == 0
    FLAGS.drop(columns=LABELS).head(3).to_csv(tmp_path / "asked.csv", index=False)
    code = (
        "import sys, pandas, mlflow.pyfunc\nsys.modules['doubleloop'] = None\n"
        "found = mlflow.pyfunc.load_model('model').predict(pandas.read_csv('asked.csv'))\n"
        "print(found.to_json(orient='records'))"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    rows = json.loads(told.stdout.splitlines()[-1])
    assert (
        len(rows) == 3 and set(rows[0]) == set(LABELS) and {value for row in rows for value in row.values()} <= {0, 1}
    )


def test_bad_labels_are_refused_with_their_row(tmp_path: Path, capsys: Any) -> None:
    assert run.main(options(tmp_path, FLAGS.assign(red=[0, 2] * 200), "blue, green, red")) == 65
    assert "'2' in column 'red' is neither 0 nor 1" in capsys.readouterr().err
    assert run.main(options(tmp_path, FLAGS.assign(red=0), "blue, green, red")) == 65
    assert "label 'red' is in no row of the training part" in capsys.readouterr().err
    assert run.main(options(tmp_path, FLAGS.assign(colours=None), "colours")) == 65
    assert "column 'colours' names no label" in capsys.readouterr().err
