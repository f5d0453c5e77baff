"""Real models, scored in processes of their own; what is judged is what the models really say."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fairlearn import metrics as fairlearn
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.pipeline import Pipeline

from doubleloop.base import canonical, errors
from doubleloop.catalog import commands as catalog
from doubleloop.compute import local
from doubleloop.compute import ports as compute
from doubleloop.data import commands as data
from doubleloop.environments import commands as environments
from doubleloop.frames import reading as frames
from doubleloop.gates.checks import robustness
from doubleloop.releases import measuring, model, ports, scoring
from doubleloop.scorer import batch
from doubleloop.specs.kinds.releases import RobustnessCheck
from doubleloop.specs.model import plain
from doubleloop.storage import ports as storage

pytestmark = pytest.mark.slow

DRAW = np.random.default_rng(11)
ROWS = pd.DataFrame(
    {
        "hour": DRAW.integers(0, 24, 300),
        "temp": DRAW.normal(15, 8, 300),
        "group": np.where(DRAW.random(300) < 0.9, "a", "b"),
    }
)
TRUTH = 10 * ROWS["hour"] + 3 * ROWS["temp"] + DRAW.normal(0, 5, 300)


def save(estimator: Any, folder: Path, example: pd.DataFrame | None = None) -> Path:
    import mlflow

    signature = mlflow.models.infer_signature(example, estimator.predict(example)) if example is not None else None
    mlflow.sklearn.save_model(
        estimator, folder, signature=signature, pip_requirements=["scikit-learn"], serialization_format="cloudpickle"
    )
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    features = ROWS[["hour", "temp"]].astype({"hour": "float64"})
    estimator = LinearRegression().fit(features, TRUTH)
    return save(estimator, tmp_path_factory.mktemp("good") / "model", features), estimator


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    features = ROWS[["hour", "temp"]].astype({"hour": "float64"})
    estimator = LinearRegression().fit(features, TRUTH.sample(frac=1, random_state=1).to_numpy())
    return save(estimator, tmp_path_factory.mktemp("worse") / "model", features), estimator


def score(folder: Path, rows: pl.DataFrame, place: Path, **more: Any) -> dict[str, Any]:
    table = scoring.wire(rows, more.get("signature"))
    (place / "rows.json").write_text(json.dumps(table))
    files = ["--model", folder, "--input", place / "rows.json", "--output", place / "out.json"]
    done = subprocess.run(
        [sys.executable, batch.__file__, *files], capture_output=True, text=True, check=False, cwd=place
    )
    answer = json.loads((place / "out.json").read_text())
    assert (done.returncode == 0) == ("predictions" in answer), done.stderr
    return answer


def test_a_signed_model_scores_whole_numbers_where_its_signature_says_double(good: Any, tmp_path: Path) -> None:
    folder, estimator = good
    answer = score(folder, pl.from_pandas(ROWS), tmp_path)  # hour is an integer here, and group is one column too many
    expected = estimator.predict(ROWS[["hour", "temp"]])
    np.testing.assert_allclose(answer["predictions"], expected, rtol=0, atol=1e-12)


def test_a_missing_column_is_named(good: Any, tmp_path: Path) -> None:
    answer = score(good[0], pl.from_pandas(ROWS[["hour"]]), tmp_path)
    assert "the table has no column 'temp'" in answer["error"]


def test_a_value_of_the_wrong_type_is_named(good: Any, tmp_path: Path) -> None:
    answer = score(good[0], pl.DataFrame({"hour": ["noon"], "temp": [1.0]}), tmp_path)
    assert "column 'hour' takes double, but holds 'noon'" in answer["error"]


def test_an_unsigned_model_gets_a_table_with_names_and_missing_values(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows = ROWS[["hour", "temp"]].astype({"hour": "float64"}).copy()
    rows.iloc[::7, 1] = np.nan
    estimator = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(rows, TRUTH)
    answer = score(save(estimator, tmp_path / "model"), pl.from_pandas(rows, nan_to_null=True), tmp_path)
    np.testing.assert_allclose(answer["predictions"], estimator.predict(rows), rtol=0, atol=1e-12)


def test_labels_come_back_as_they_are(tmp_path: Path) -> None:
    rows = ROWS[["hour", "temp"]].astype("float64")
    estimator = LogisticRegression().fit(rows, np.where(TRUTH > 150, "busy", "quiet"))
    answer = score(save(estimator, tmp_path / "model", rows), pl.from_pandas(rows), tmp_path)
    assert answer["predictions"] == estimator.predict(rows).tolist()


def test_of_several_columns_the_prediction_is_judged() -> None:
    assert batch.one_each([{"score": 0.5, "prediction": "a"}, {"score": 1, "prediction": "b"}], 2) == ["a", "b"]
    assert batch.one_each([{"x": 1, "y": 2}], 1) == [[1, 2]]


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no MLmodel file" in score(tmp_path / "empty", pl.DataFrame({"x": [1]}), tmp_path)["error"]


@pytest.fixture
def place(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The site with real measurements and real processes; environments are this interpreter's."""
    site.contexts.ports.pop(ports.Measuring)
    site.contexts.ports[compute.Compute] = local.LocalCompute(site.house.home)
    prepared = SimpleNamespace(python=Path(sys.executable), lock_digest="f" * 64)
    monkeypatch.setattr(environments, "prepare", lambda *_: prepared)
    return site


def keep(site: Any, name: str, rows: pl.DataFrame) -> str:
    reference = data.store_bytes(site.contexts.port(storage.Blobs), f"{name}.parquet", frames.to_parquet(rows))
    with site.house.write("ada", "registry") as ctx:
        return data.add_version(ctx, name, reference, "uri_file").id


def register(site: Any, version: str, folder: Path, training: list[str] = (), **spec: Any) -> None:  # type: ignore[assignment]
    tree = site.contexts.port(storage.Blobs).put_tree(folder).sha256
    with site.house.write("ada", "registry") as ctx:
        catalog.add(
            ctx, "model", "bikes", version, tree,
            {"reference": f"tree:sha256:{tree}", "flavor": "mlflow", "signature": {"inputs": []}, "authors": ["ada"],
             "training_data": list(training), **spec},
        )  # fmt: skip


def question(**changes: Any) -> model.Question:
    values = {
        "run": "r1-s0c2", "workspace": "staging",
        "check": {"type": "model_quality", "data": "azureml:holdout:1", "target": "count", "metric": "rmse",
                  "at_most": 100, "champion": {"tolerance": 0.02}},
        "candidate": ("bikes", "2"), "champion": ("bikes", "1"), "target": "count", "signature": None,
        "holdouts": ("azureml:holdout:1",), "endpoint": "", "deployment": "", "deployment_name": "", "job": "",
        "asked_at": "2026-03-01T00:00:00Z",
    }  # fmt: skip
    return model.Question(**{**values, **changes})


def test_both_models_are_scored_on_the_same_pinned_rows(place: Any, good: Any, worse: Any) -> None:
    holdout = pl.from_pandas(ROWS.assign(count=TRUTH))
    id_ = keep(place, "holdout", holdout)
    register(place, "1", good[0])
    register(place, "2", worse[0])
    measured = measuring.RealMeasuring().measure(place.contexts, question())
    for who, estimator in (("champion", good[1]), ("candidate", worse[1])):
        expected = root_mean_squared_error(TRUTH, estimator.predict(ROWS[["hour", "temp"]]))
        assert measured.body[who]["value"] == pytest.approx(expected, abs=1e-9)
    assert measured.body["holdout"]["id"] == id_
    canonical.dumps(measured.body)
    blob = measured.attachments["predictions"].rpartition(":")[2]
    kept = pl.read_parquet(place.contexts.port(storage.Blobs).path(blob))
    assert kept.columns == ["truth", "candidate", "champion"]
    # A second look costs no second scoring: the answer is kept by the hash of model, rows and environment.
    place.contexts.ports.pop(compute.Compute)
    assert measuring.RealMeasuring().measure(place.contexts, question()).body == measured.body


def test_fairness_is_measured_on_the_candidate(place: Any, good: Any) -> None:
    keep(place, "holdout", pl.from_pandas(ROWS.assign(count=TRUTH)))
    register(place, "2", good[0])
    check = {"type": "responsible_ai", "data": "azureml:holdout:1", "sensitive": ["group"], "metric": "mae_ratio",
             "at_most": 1.25, "min_group_size": 10}  # fmt: skip
    measured = measuring.RealMeasuring().measure(place.contexts, question(check=check))
    frame = fairlearn.MetricFrame(
        metrics=mean_absolute_error, y_true=TRUTH, y_pred=good[1].predict(ROWS[["hour", "temp"]]),
        sensitive_features=ROWS["group"],
    )  # fmt: skip
    assert measured.body["sensitive"]["group"]["value"] == pytest.approx(1 / frame.ratio(), rel=1e-9)


def test_groups_are_what_texts_are_like_and_which_language_a_model_sees(place: Any, tmp_path: Path) -> None:
    said = pd.DataFrame({"text": ["der Hund", "the dog", "der alte Hund lief", "the old dog ran", "собака"] * 12})
    step = ColumnTransformer([("words", CountVectorizer(), "text")])
    languages = ["ru" if each == "собака" else "de" if each.startswith("der") else "en" for each in said["text"]]
    seen = Pipeline([("words", step), ("linear", LogisticRegression())]).fit(said, languages)
    register(place, "7", save(seen, tmp_path / "languages", said))
    # Right about English alone.
    guess = Pipeline([("words", step), ("linear", LogisticRegression(C=100))])
    guess.fit(said, ["good" if each == "en" else "bad" for each in languages])
    register(place, "2", save(guess, tmp_path / "m", said))
    keep(place, "holdout", pl.from_pandas(said.assign(count="good")))
    check = {"type": "responsible_ai", "data": "azureml:holdout:1", "metric": "accuracy_difference", "at_most": 0.2,
             "sensitive": ["text.language", "text.script", "text.length"], "min_group_size": 10,
             "language_model": "azureml:bikes:7"}  # fmt: skip
    body = measuring.RealMeasuring().measure(place.contexts, question(check=check)).body
    assert body["asked"] == ["bikes:7"]
    values = {name: {each["group"]: (each["size"], each["value"]) for each in found["groups"]}
              for name, found in body["sensitive"].items()}  # fmt: skip
    assert values == {
        "text.language": {"de": (24, 0.0), "en": (24, 1.0), "ru": (12, 0.0)},
        "text.script": {"latin": (48, 0.5), "cyrillic": (12, 0.0)},
        "text.length": {"1-2 words": (36, 1 / 3), "3-4 words": (24, 0.5)},
    }
    with pytest.raises(errors.InvalidInput, match="no `language_model` says them"):
        measuring.RealMeasuring().measure(place.contexts, question(check={**check, "language_model": None}))
    with pytest.raises(errors.DoubleloopError, match=r"text\.colour"):
        measuring.RealMeasuring().measure(place.contexts, question(check={**check, "sensitive": ["text.colour"]}))


def test_terms_change_places_in_texts_of_the_hold_out(place: Any, tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": ["she ran", "he ran", "she sat", "he sat", "it ran", "a dog"] * 5})
    step = ColumnTransformer([("words", CountVectorizer(), "text")])
    biased = Pipeline([("words", step), ("linear", LogisticRegression())])
    biased.fit(rows, ["bad" if text.startswith("she") else "good" for text in rows["text"]])
    folder = save(biased, tmp_path / "m", rows)
    keep(place, "holdout", pl.from_pandas(rows.assign(label="good")))
    register(place, "2", folder)
    check = {"type": "counterfactual", "data": "azureml:holdout:1", "column": "text", "swap": [["he", "she"]],
             "at_most": 0}  # fmt: skip
    measured = measuring.RealMeasuring().measure(place.contexts, question(check=check))
    assert (measured.body["rows"], measured.body["changed"]) == (20, 20)
    assert measured.body["examples"][0] == {"text": "she ran", "changed": "he ran", "before": "bad", "after": "good"}
    none = measuring.RealMeasuring().measure(place.contexts, question(check={**check, "swap": [["x", "y"]]}))
    assert none.body["rows"] == 0


def test_a_script_that_always_says_deploy_does_not_get_a_worse_model_through(place: Any, good: Any, worse: Any) -> None:
    """The reference project's register.py ends with ``deploy_flag = 1``; tags and logged metrics are words, the gate
    looks at the model."""
    keep(place, "holdout", pl.from_pandas(ROWS.assign(count=TRUTH)))
    register(place, "1", good[0])
    with place.house.write("service:releases", "prod") as ctx:
        from doubleloop.models import commands as model_commands

        model_commands.set_champion(ctx, "bikes", "1")
    register(place, "2", worse[0], tags={"deploy_flag": "1", "rmse": "0.0"}, description="deploy me")
    place.define(
        """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: staging
    checks:
      - {type: model_quality, data: azureml:holdout:1, target: count, metric: rmse, champion: {tolerance: 0.02}}
  - workspace: prod
    approval: {personas: [project_lead]}
    deployment: {name: blue, endpoint_name: bikes-live, model: azureml:bikes:1}
"""
    )
    ended = place.through(place.start("2").id)
    assert ended.status == "failed"
    assert "is worse than the champion bikes:1" in ended.reasons[0]
    assert place.champion() == "1"


def test_a_model_that_saw_the_hold_out_cannot_win_by_it(place: Any, good: Any, worse: Any) -> None:
    id_ = keep(place, "holdout", pl.from_pandas(ROWS.assign(count=TRUTH)))
    register(place, "1", worse[0])
    register(place, "2", good[0], training=[id_])
    measured = measuring.RealMeasuring().measure(place.contexts, question())
    from doubleloop.gates.checks import model_quality

    verdict = model_quality.judge(question().check, measured.body)
    assert not verdict.passed
    assert "the candidate bikes:2 was trained on the hold-out" in verdict.reasons[0]


def test_tests_run_where_the_model_was_trained(place: Any, good: Any, tmp_path: Path, monkeypatch: Any) -> None:
    register(place, "2", good[0])
    (tmp_path / "code" / "tests").mkdir(parents=True)
    (tmp_path / "code" / "tests" / "test_it.py").write_text(
        "import os\ndef test_good():\n    assert os.getcwd().endswith('tests')\ndef test_bad():\n    assert 1 == 2\n"
    )
    tree = place.contexts.port(storage.Blobs).put_tree(tmp_path / "code").sha256
    check = {"type": "unit_tests", "command": f"{sys.executable} -m pytest -q", "code": f"tree:sha256:{tree}",
             "directory": "tests"}  # fmt: skip
    measured = measuring.RealMeasuring().measure(place.contexts, question(check=check))
    assert measured.body["exit_code"] == 1
    assert measured.body["report"] == {
        "tests": 2, "failures": 1, "errors": 0, "skipped": 0, "failing": ["test_it::test_bad"]
    }  # fmt: skip
    log = place.contexts.port(storage.Blobs).read(measured.attachments["log"].rpartition(":")[2])
    assert b"1 failed, 1 passed" in log


def test_a_signature_is_told_from_the_hold_out(place: Any) -> None:
    rows = ROWS.assign(count=TRUTH, gaps=ROWS["hour"].where(ROWS["hour"] > 3))
    keep(place, "holdout", pl.from_pandas(rows).with_columns(pl.col("gaps").cast(pl.Int64)))
    found = measuring.RealMeasuring().infer_signature(place.contexts, "staging", "azureml:holdout:1", "count", None)
    kinds = {each["name"]: each["type"] for each in found["inputs"]}
    assert kinds == {"hour": "long", "temp": "double", "group": "string", "gaps": "double"}


def test_unsafe_files_are_found_and_clean_ones_pass(place: Any, good: Any, tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            import os

            return os.system, ("true",)

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "bad" / "model.pkl").write_bytes(pickle.dumps(Evil()))
    register(place, "1", good[0])
    register(place, "2", tmp_path / "bad")
    check = {"type": "scan", "packages": False}
    clean = measuring.RealMeasuring().measure(place.contexts, question(check=check, candidate=("bikes", "1")))
    assert clean.body["model"]["findings"] == []
    found = measuring.RealMeasuring().measure(place.contexts, question(check=check))
    assert found.body["model"]["findings"][0]["file"] == "model.pkl"
    assert "system" in found.body["model"]["findings"][0]["what"]


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


def test_a_model_of_images_is_asked_about_worse_ones(place: Any, tmp_path: Path) -> None:
    """Forty dark images and twenty light ones; half of all light more makes the dark ones light, and nothing else."""
    import mlflow

    (tmp_path / "lights.py").write_text(LIGHTS)
    example = pd.DataFrame({"image": [b"x"]})
    mlflow.pyfunc.save_model(
        tmp_path / "model", loader_module="lights", code_paths=[str(tmp_path / "lights.py")],
        signature=mlflow.models.infer_signature(example, pd.DataFrame({"prediction": ["dark"]})),
        pip_requirements=["pillow"],
    )  # fmt: skip
    made = []
    for number in range(60):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8), 30 + number if number < 40 else 140 + number, np.uint8)).save(file, "PNG")
        made.append(file.getvalue())
    hold_out = pl.DataFrame({"image": made, "label": ["dark"] * 40 + ["light"] * 20})
    keep(place, "pictures", hold_out)
    register(place, "1", tmp_path / "model")
    check = plain(RobustnessCheck.model_validate({
        "type": "robustness", "data": "azureml:pictures:1", "target": "label", "metric": "accuracy",
        "corruptions": ["brightness", "contrast"], "severities": [5], "at_least": 0.6,
    }))  # fmt: skip
    asked = question(check=check, candidate=("bikes", "1"), champion=None)
    measured = measuring.RealMeasuring().measure(place.contexts, asked)
    found = {each["slice"]: (each["rows"], each["value"]) for each in measured.body["slices"]}
    assert found == {
        "all": (60, 1.0), "brightness dark": (20, 1.0), "brightness middle": (20, 1.0), "brightness bright": (20, 1.0),
        "brightness 5": (60, pytest.approx(20 / 60)), "contrast 5": (60, 1.0),
    }  # fmt: skip
    verdict = robustness.judge(check, measured.body)
    assert verdict.reasons == ("accuracy of brightness 5 is 0.333333, must be at least 0.6",)
