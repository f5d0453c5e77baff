"""AutoML jobs from file to served model: real trials in real processes, on tables of a few rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy
import pytest
import yaml
from jobs_workshop import Workshop

from doubleloop.jobs.model import Job, Status
from doubleloop.storage import ports as storage

pytestmark = pytest.mark.slow


@pytest.fixture
def automl(shop: Workshop, tmp_path: Path) -> Iterator[Workshop]:
    """The workshop, with a door through which MLflow's own client logs into the tracking server in memory; artifacts
    go to a folder for each run."""

    tracking = shop.tracking.of("dev")

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert "/runs/get?" in self.path, self.path
            run = parse_qs(urlsplit(self.path).query)["run_id"][0]
            told = {"run_id": run, "run_uuid": run, "experiment_id": "1", "artifact_uri": str(tmp_path / "runs" / run)}
            self.answer(json.dumps({"run": {"info": told, "data": {}}}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path.endswith("/runs/log-batch"), self.path
            for each in body.get("metrics", ()):
                tracking.log_metric(body["run_id"], each["key"], each["value"])
            for each in body.get("tags", ()):
                tracking.set_tag(body["run_id"], each["key"], each["value"])
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shop.engine.pause_s = 0.2  # trials take seconds
    shop.runs_folder = tmp_path / "runs"  # type: ignore[attr-defined]
    shop.door = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield shop
    server.shutdown()
    server.server_close()


def submit(shop: Workshop, text: str) -> Job:
    job = shop.submit(text.replace("DOOR", shop.door))  # type: ignore[attr-defined]
    shop.engine.run(timeout=280)
    return shop.job(job.id)


def table(folder: Path, name: str, text: str) -> None:
    place = folder / name
    place.mkdir()
    (place / "rows.csv").write_text(text)
    (place / "MLTable").write_text(
        "paths:\n  - file: ./rows.csv\ntransformations:\n  - read_delimited: {delimiter: ','}\n"
    )


def served(shop: Workshop, job: Job, rows: str) -> list[Any]:
    """What the model answers to raw rows, in a process that knows nothing of Doubleloop."""
    folder = shop.house.home.parent / "served"
    shop.house.ports[storage.Blobs].materialise(str(job.outputs["best_model"]["reference"]), folder)
    code = (
        "import io, json, sys, pandas, mlflow.pyfunc\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(json.dumps(model.predict(pandas.read_csv(io.StringIO(sys.argv[2]))).tolist()))"
    )
    # -I: what is imported beside the installed packages comes out of the model.
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder), rows], capture_output=True, text=True, cwd=folder,
        env={"PATH": os.environ["PATH"]}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def customers(seed: int, count: int) -> str:
    """Whether somebody buys follows from age and town; one value in ten is missing."""
    chance = numpy.random.default_rng(seed)
    lines = ["id,age,town,since,buys"]
    for number in range(count):
        age, town = int(chance.integers(18, 80)), str(chance.choice(["Rome", "Oslo", "Bonn"]))
        buys = "yes" if (age > 50) != (town == "Oslo") else "no"
        shown = "" if chance.random() < 0.1 else str(age)
        lines.append(f"c-{seed}-{number:04d},{shown},{town},2024-{1 + number % 12:02d}-03,{buys}")
    return "\n".join(lines)


CLASSIFICATION = """
    type: automl
    task: classification
    target_column_name: buys
    primary_metric: accuracy
    positive_label: "yes"
    training_data: {type: mltable, path: train}
    validation_data: {type: mltable, path: validation}
    limits: {max_trials: 2, max_concurrent_trials: 1}
    training:
      allowed_training_algorithms: [decision_tree, LogisticRegression]
      enable_stack_ensemble: false
      enable_model_explainability: false
    environment_variables: {MLFLOW_TRACKING_URI: DOOR}
    outputs: {best_model: {name: buyers}}
"""


def test_a_classification_from_tables_to_a_registered_model(automl: Workshop) -> None:
    for name, seed, count in (("train", 1, 200), ("validation", 2, 80)):
        table(automl.house.home, name, customers(seed, count))
    job = submit(automl, CLASSIFICATION)
    assert (job.status, job.error, job.kind) == (Status.COMPLETED, "", "automl")
    steps = automl.steps(job.id)
    assert [name for name in steps] == ["automl", "automl.0", "automl.1", "automl.vote"]
    assert {step.status for step in steps.values()} == {Status.COMPLETED}, {n: s.reason for n, s in steps.items()}
    runs = automl.tracking.runs
    parent, best = runs[str(job.run_id)], steps[str(runs[str(job.run_id)]["tags"]["best_child"])]
    assert parent["tags"]["automl_best_child_run_id"] == best.run_id
    assert parent["metrics"]["accuracy"] == runs[str(best.run_id)]["metrics"]["accuracy"]
    tried = {name: step.task.trial["algorithm"] for name, step in steps.items() if step.task.trial}
    assert tried == {
        "automl.0": "LogisticRegression", "automl.1": "DecisionTree", "automl.vote": "VotingEnsemble"
    }  # fmt: skip
    scores = {name: runs[str(steps[name].run_id)]["metrics"] for name in tried}
    assert scores["automl.1"]["accuracy"] > scores["automl.0"]["accuracy"]  # the rule is no linear one
    assert scores["automl.vote"]["accuracy"] >= scores["automl.1"]["accuracy"]
    assert "AUC_weighted" in scores["automl.0"] and "AUC_binary" in scores["automl.0"]
    assert job.outputs["best_model"]["asset"].endswith("buyers:1")
    # What `mlflow.register_model("runs:/RUN/outputs/mlflow-model", NAME)` looks for, and finds the run by.
    kept = automl.runs_folder / str(best.run_id) / "outputs" / "mlflow-model" / "MLmodel"  # type: ignore[attr-defined]
    assert yaml.safe_load(kept.read_text())["run_id"] == best.run_id
    rows = "id,age,town,since\nnew,70.5,Rome,2024-05-03\nnew,70,Oslo,2024-05-03\nnew,20,Paris,2024-05-03\n"
    assert served(automl, job, rows) == ["yes", "no", "no"]


FORECASTING_IN_A_PIPELINE = """
    type: pipeline
    inputs: {rows: {type: uri_file, path: sales.csv}}
    jobs:
      learn:
        type: automl
        task: forecasting
        target_column_name: sold
        training_data: "${{parent.inputs.rows}}"
        n_cross_validations: 2
        forecasting: {time_column_name: day, time_series_id_column_names: [shop], forecast_horizon: 7, target_lags: [7]}
        limits: {max_trials: 1}
        training: {allowed_training_algorithms: [decision_tree], enable_model_explainability: false}
        environment_variables: {MLFLOW_TRACKING_URI: DOOR}
      use:
        command: >-
          python -I -c 'import mlflow.pyfunc, pandas, sys;
          rows = pandas.DataFrame({"day": ["2024-03-04", "2024-03-05", "2024-03-04"], "shop": ["a", "a", "b"]});
          print("says", *mlflow.pyfunc.load_model(sys.argv[1]).predict(rows).round(1))' ${{inputs.model}}
        environment: azureml:base@latest
        inputs: {model: "${{parent.jobs.learn.outputs.best_model}}"}
"""


def test_a_forecast_as_a_step_hands_its_model_on(automl: Workshop) -> None:
    lines = ["day,shop,sold"]
    for shop, level in (("a", 10), ("b", 500)):
        days = (date(2024, 1, 1) + timedelta(n) for n in range(63))
        lines += [f"{day},{shop},{level + day.weekday()}" for day in days]
    (automl.house.home / "sales.csv").write_text("\n".join(lines))
    job = submit(automl, FORECASTING_IN_A_PIPELINE)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    steps = automl.steps(job.id)
    assert set(steps) == {"learn", "learn.0", "use"}
    run = automl.tracking.runs[str(steps["learn.0"].run_id)]
    assert run["metrics"]["normalized_root_mean_squared_error"] < 0.1  # the week repeats itself
    assert run["tags"]["folds"] == "2" and run["tags"]["mlflow.parentRunId"] == steps["learn"].run_id
    assert "says 10.0 11.0 500.0" in automl.log(job.id, "use")
