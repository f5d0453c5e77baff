"""The life of the bikes model, its scripts run by hand: trained on 2012, wrong by the summer of 2013, right again."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from doubleloop.base import errors
from doubleloop.demo import data
from doubleloop.frames import contracts
from doubleloop.gates.checks import data_quality
from doubleloop.quarantine import model as quarantine
from doubleloop.quarantine import pickles

BIKES = Path(__file__).parents[2] / "examples" / "bikes"
FEATURES = list(data.FEATURES)
MAE_ALERT, RMSE_GATE, FAIRNESS_GATE = 90, 80, 1.6  # as in monitor.yml and release.yml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> data.Prepared:
    cache = Path(os.environ.get("DOUBLELOOP_TEST_CACHE", "~/.cache/doubleloop/demo")).expanduser()
    try:
        csv = data.fetch_bikes(cache, lambda done, total: None)
    except errors.Unavailable as error:
        pytest.skip(f"the data set cannot be had: {error}")
    return data.prepare(csv, tmp_path_factory.mktemp("bikes"))


@dataclass(frozen=True)
class Engine:
    """What starts the scripts, in the folder of the code, as a step of the pipeline would be."""

    python: Path
    environ: dict[str, str]

    def run(self, *command: str) -> str:
        started = time.perf_counter()
        done = subprocess.run(
            [str(self.python), *command], cwd=BIKES / "src", env=self.environ, capture_output=True, text=True
        )
        print(f"{command[0]}: {time.perf_counter() - started:.1f} s\n{done.stdout}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def step(self, script: str, **arguments: str | Path) -> None:
        self.run(script, *(part for name, value in arguments.items() for part in (f"--{name}", str(value))))

    def train(self, training: Path, out: Path) -> Path:
        self.step("prep.py", data=training, prepared=out / "prepared")
        conda_file = BIKES / "environment" / "train-conda.yml"
        self.step("train.py", prepared=out / "prepared", conda_file=conda_file, model=out / "model")
        return out / "model"

    def pipeline(self, training: Path, out: Path) -> Path:
        """Prep, train, evaluate, register; the folder of the model."""
        model = self.train(training, out)
        self.step("evaluate.py", prepared=out / "prepared", model=model, report=out / "report")
        self.step("register.py", model=model, report=out / "report", model_name="bikes-demand", registered=out / "name")
        return model


@pytest.fixture(scope="module")
def engine(examples_python: Path, examples_environ: dict[str, str]) -> Engine:
    return Engine(examples_python, examples_environ)


@pytest.fixture(scope="module")
def champion(prepared: data.Prepared, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine.pipeline(prepared.training, tmp_path_factory.mktemp("champion"))


@pytest.fixture(scope="module")
def challenger(prepared: data.Prepared, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    june = next(month for month in prepared.months if month.name == "2013-06")
    return engine.pipeline(june.training, tmp_path_factory.mktemp("challenger"))


def predict(model: Path, rows: pl.DataFrame) -> np.ndarray:
    with (model / "model.pkl").open("rb") as file:
        return np.asarray(pickle.load(file).predict(rows.select(FEATURES).to_pandas()))


def score(model: Path, rows: pl.DataFrame) -> dict[str, float]:
    error = predict(model, rows) - rows["count"].to_numpy()
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}


def by_month(model: Path, months: tuple[data.Month, ...]) -> dict[str, dict[str, float]]:
    found = {}
    for month in months:
        rows = pl.read_csv(month.replay).join(pl.read_csv(month.truth), on="request_id", how="left")
        assert rows["count"].null_count() == 0
        found[month.name] = score(model, rows)
        print(month.name, month.hours, {name: round(value, 1) for name, value in found[month.name].items()})
    return found


def fairness(model: Path, hold_out: Path) -> float:
    """Largest mean absolute error of a kind of day over the smallest."""
    rows = pl.read_csv(hold_out)
    mae = [score(model, part)["mae"] for part in rows.partition_by("day_type")]
    return max(mae) / min(mae)


def test_the_error_crosses_the_alert_in_june_2013_and_not_before(champion: Path, prepared: data.Prepared) -> None:
    found = by_month(champion, prepared.months[:6])
    assert list(found) == [f"2013-{month:02d}" for month in range(1, 7)]
    assert [name for name, errors_ in found.items() if errors_["mae"] > MAE_ALERT] == ["2013-06"]
    assert max(errors_["mae"] for name, errors_ in found.items() if name != "2013-06") < 0.97 * MAE_ALERT


def test_training_again_in_july_makes_the_error_fall_by_a_quarter_and_more(
    champion: Path, challenger: Path, prepared: data.Prepared
) -> None:
    frozen, fresh = (by_month(model, prepared.months[6:9]) for model in (champion, challenger))
    for name in ("2013-07", "2013-08", "2013-09"):
        assert fresh[name]["mae"] < 0.75 * frozen[name]["mae"]
        assert fresh[name]["mae"] < 0.75 * MAE_ALERT


def test_both_releases_pass_the_gate_and_the_challenger_beats_the_champion(
    champion: Path, challenger: Path, prepared: data.Prepared
) -> None:
    first, second = prepared.hold_out, prepared.months[5].hold_out
    rmse = {
        "champion, first hold-out": score(champion, pl.read_csv(first))["rmse"],
        "champion, second hold-out": score(champion, pl.read_csv(second))["rmse"],
        "challenger, second hold-out": score(challenger, pl.read_csv(second))["rmse"],
    }
    print(rmse, fairness(champion, first), fairness(challenger, second))
    assert rmse["champion, first hold-out"] < RMSE_GATE
    assert rmse["challenger, second hold-out"] < RMSE_GATE
    assert rmse["challenger, second hold-out"] < 0.75 * rmse["champion, second hold-out"]
    assert fairness(champion, first) < FAIRNESS_GATE
    assert fairness(challenger, second) < FAIRNESS_GATE


def test_the_old_hold_out_would_have_kept_the_old_model(
    champion: Path, challenger: Path, prepared: data.Prepared
) -> None:
    """Why the hold-out gets a new version with each period."""
    old = pl.read_csv(prepared.hold_out)
    assert score(champion, old)["rmse"] < score(challenger, old)["rmse"]


def test_the_training_data_keeps_its_contract_and_the_model_file_is_harmless(
    champion: Path, prepared: data.Prepared
) -> None:
    contract = contracts.parse(YAML(typ="safe").load(BIKES / "contract.yml"))
    for version in (prepared.training, prepared.months[5].training):
        found = contracts.measure(contract, pl.read_csv(version), datetime(2013, 7, 1, tzinfo=UTC))
        assert data_quality.judge({}, found).passed, found["violations"]
    assert quarantine.judge(pickles.scan(champion)).passed


def test_the_same_data_gives_the_same_model(
    champion: Path, prepared: data.Prepared, engine: Engine, tmp_path: Path
) -> None:
    again = engine.train(prepared.training, tmp_path)
    rows = pl.read_csv(prepared.months[0].replay)
    assert (predict(again, rows) == predict(champion, rows)).all()


def test_the_model_is_registered_with_signature_example_and_environment(champion: Path, engine: Engine) -> None:
    registered: dict[str, Any] = json.loads((champion.parent / "name" / "registered.json").read_text())
    assert registered == {"name": "bikes-demand", "version": "1"}
    script = """
import json, mlflow, pandas as pd
loaded = mlflow.pyfunc.load_model("models:/bikes-demand/1")
request = json.load(open("../sample-request.json"))["input_data"]
rows = pd.DataFrame(request["data"], columns=request["columns"])
print(json.dumps([loaded.metadata.signature.inputs.input_names(), list(map(float, loaded.predict(rows)))]))
"""
    names, (rush_hour, night) = json.loads(engine.run("-c", script).splitlines()[-1])
    assert names == FEATURES
    assert rush_hour > 300 > 30 > night > 0
    assert (champion / "input_example.json").exists()
    pins = YAML(typ="safe").load
    assert pins(champion / "conda.yaml") == pins(BIKES / "environment" / "train-conda.yml")


def test_the_projects_own_tests_pass_in_its_environment(engine: Engine) -> None:
    assert " passed" in engine.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "../pytest.ini", "..")
