"""`import mlflow` as users write it, in old and new versions, through our door with a token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uv
from api_server import SETUP, Served

from doubleloop.identity import commands as identity
from doubleloop.models import queries as models
from doubleloop.storage import ports as storage
from doubleloop.tracking import queries as origins

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OLD = ("mlflow==2.9.2", "scikit-learn==1.5.2", "numpy==1.26.4", "pandas==2.2.3", "pyarrow==14.0.2", "setuptools<81")
SCRIPT = """
import json, sys
import mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

name = sys.argv[1]
X = pd.DataFrame({"hour": np.arange(20.0), "temp": np.arange(20.0) ** 2})
y = 3 * X["hour"] + 1
mlflow.set_experiment(name)
mlflow.autolog(log_models=False)
with mlflow.start_run(run_name="first") as run:
    mlflow.log_param("depth", 3)
    mlflow.log_metric("own", 1.5)
    mlflow.log_metrics({"a": 1.0, "b": 2.0})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.set_tag("team", "blue/green ß")
    mlflow.log_text("hello", "notes/a b.txt")
    model = LinearRegression().fit(X, y)
    mlflow.sklearn.log_model(model, artifact_path="model", signature=infer_signature(X, model.predict(X)),
                             serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
version = mlflow.register_model(f"runs:/{run.info.run_id}/model", name)
client = mlflow.MlflowClient()
client.set_registered_model_alias(name, "best", version.version)
client.set_model_version_tag(name, version.version, "team", "blue")
loaded = mlflow.pyfunc.load_model(f"models:/{name}/{version.version}")
found = client.get_run(run.info.run_id)
print("RESULT", json.dumps({
    "mlflow": mlflow.__version__, "run": run.info.run_id, "version": version.version,
    "metrics": found.data.metrics, "params": found.data.params, "tags": found.data.tags,
    "history": [m.value for m in client.get_metric_history(run.info.run_id, "loss")],
    "text": mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/a b.txt"),
    "artifacts": sorted(a.path for a in client.list_artifacts(run.info.run_id)),
    "predictions": loaded.predict(X.head(2)).tolist(),
    "versions": [v.version for v in client.search_model_versions(f"name='{name}'")],
    "alias": client.get_model_version_by_alias(name, "best").version,
    "runs": len(mlflow.search_runs(experiment_names=[name])),
}))
"""
REFUSED = """
import json, os, sys
import mlflow
name, answers = "bikes-any", []
for place, token in json.loads(sys.argv[1]):
    os.environ["MLFLOW_TRACKING_TOKEN"] = token
    mlflow.set_tracking_uri(place)
    client, found = mlflow.MlflowClient(), {}
    for what, ask in {
        "create": lambda: client.create_registered_model(name),
        "delete version": lambda: client.delete_model_version(name, "1"),
        "delete model": lambda: client.delete_registered_model(name),
        "rename": lambda: client.rename_registered_model(name, "other"),
        "write": lambda: client.create_experiment("mine"),
        "read": lambda: client.search_experiments(),
    }.items():
        try:
            ask()
            found[what] = "done"
        except mlflow.exceptions.MlflowException as error:
            found[what] = str(error)
    answers.append(found)
print("RESULT", json.dumps(answers))
"""


TWO = """
import json, os, sys
import mlflow
found, made = {}, {}
for place, token in (("day", sys.argv[2]), ("night", sys.argv[3])):
    os.environ["MLFLOW_TRACKING_TOKEN"] = token
    mlflow.set_tracking_uri(f"{sys.argv[1]}/mlflow/w/{place}")
    mlflow.set_experiment("same-name")
    with mlflow.start_run(run_name=place) as run:
        mlflow.log_metric("brightness", 1.0 if place == "day" else 0.1)
        mlflow.log_text(place, "where.txt")
    made[place] = run.info.run_id
for place, token in (("day", sys.argv[2]), ("night", sys.argv[3])):
    os.environ["MLFLOW_TRACKING_TOKEN"] = token
    mlflow.set_tracking_uri(f"{sys.argv[1]}/mlflow/w/{place}")
    other = made["night" if place == "day" else "day"]
    found[place] = {"runs": sorted(mlflow.search_runs(search_all_experiments=True)["run_id"]), "refused": []}
    found[place]["metric"] = mlflow.MlflowClient().get_run(made[place]).data.metrics["brightness"]
    found[place]["text"] = mlflow.artifacts.load_text(f"runs:/{made[place]}/where.txt")
    for ask in (lambda: mlflow.get_run(other), lambda: mlflow.artifacts.load_text(f"runs:/{other}/where.txt"),
                lambda: mlflow.MlflowClient().log_metric(other, "brightness", 0.0)):
        try:
            ask()
        except Exception as error:
            found[place]["refused"].append(type(error).__name__)
print("RESULT", json.dumps({"made": made, "found": found}))
"""


@pytest.fixture(scope="session")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with mlflow 2.9.2, as the template's pins ask for it."""
    folder = tmp_path_factory.mktemp("old") / "venv"
    for command in (
        ["venv", "-q", "--python", f"{sys.version_info[0]}.{sys.version_info[1]}", str(folder)],
        ["pip", "install", "-q", "--python", str(folder / "bin" / "python"), *OLD],
    ):
        done = subprocess.run([uv.find_uv_bin(), *command], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mlflow 2.9.2 cannot be installed here: {done.stderr[-300:]}")
    return folder / "bin" / "python"


@pytest.fixture(params=["installed", "2.9.2"])
def python(request: pytest.FixtureRequest) -> Path:
    return Path(sys.executable) if request.param == "installed" else request.getfixturevalue("old_python")


def run(python: Path, served: Served, script: str, token: str, *words: str, workspace: str = "dev") -> Any:
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("MLFLOW_", "GIT_"))} | {
        "MLFLOW_TRACKING_URI": f"{served.url}/mlflow/w/{workspace}", "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", script, *words], env=environ, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(lines[-1].removeprefix("RESULT "))


def test_runs_metrics_artifacts_and_models_of_any_client(tracked: Served, python: Path, tmp_path: Path) -> None:
    name = f"bikes-{'new' if python == Path(sys.executable) else 'old'}"
    with tracked.contexts.write(SETUP) as ctx:
        _, token = identity.create_token(ctx, "ada", "job:train-1/fit", workspace="dev")
    found = run(python, tracked, SCRIPT, token, name)
    assert found["mlflow"] == ("2.9.2" if name.endswith("old") else "3.17.2")
    assert (found["version"], found["versions"], found["alias"], found["runs"]) in (
        ("1", ["1"], "1", 1), (1, [1], 1, 1),
    )  # fmt: skip
    assert {"own": 1.5, "a": 1.0, "b": 2.0}.items() <= found["metrics"].items()
    assert "training_mean_squared_error" in found["metrics"], "autolog wrote its own"
    assert (found["history"], found["params"]["depth"]) == ([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5], "3")
    assert (found["tags"]["team"], found["text"]) == ("blue/green ß", "hello")
    assert "notes" in found["artifacts"]
    assert found["predictions"] == pytest.approx([1.0, 4.0])

    with tracked.contexts.read(SETUP, "registry") as ctx:
        origin = origins.origin_of_run(ctx, found["run"])
        version = models.get(ctx, name, "1")
        assert models.resolve(ctx, f"models:/{name}@best") == version
    assert origin and (origin.actor, origin.workspace, origin.job, origin.step) == ("ada", "dev", "train-1", "fit")
    assert (version.created_by, version.job, version.step, version.run_id) == ("ada", "train-1", "fit", found["run"])
    assert version.signature and [each["name"] for each in version.signature["inputs"]] == ["hour", "temp"]
    laid = tracked.contexts.port(storage.Blobs).materialise(version.reference, tmp_path / "laid")
    assert {"MLmodel", "model.pkl"} <= {each.name for each in laid.iterdir()}


def test_closed_routes_rights_one_does_not_have_and_a_wrong_token_are_told_so(tracked: Served, python: Path) -> None:
    dev, prod = (f"{tracked.url}/mlflow/w/{place}" for place in ("dev", "prod"))
    asked = [(dev, "dl_wrong"), (dev, tracked.tokens["ada"]), (prod, tracked.tokens["ada"])]
    wrong, found, kept_out = run(python, tracked, REFUSED, "", json.dumps(asked))
    assert all("401" in text or "unknown or has expired" in text for text in wrong.values()), wrong
    for what in ("delete version", "delete model", "rename"):
        assert "403" in found[what] or "is closed" in found[what], found
    assert found["read"] == "done"
    for what in ("create", "write"):
        assert found[what] == "done" or "already exists" in found[what], found
    refused = ("403", "not_permitted", "is closed")
    assert all(any(word in text for word in refused) for text in kept_out.values()), kept_out


def test_an_old_client_in_two_workspaces_finds_in_each_what_is_there_alone(two: Served, old_python: Path) -> None:
    told = run(old_python, two, TWO, "", two.url, two.tokens["sun"], two.tokens["moon"])
    made, found = told["made"], told["found"]
    assert made["day"] != made["night"]
    assert (found["day"]["metric"], found["night"]["metric"]) == (1.0, 0.1)
    for place, other in (("day", "night"), ("night", "day")):
        assert made[place] in found[place]["runs"] and made[other] not in found[place]["runs"]
        assert found[place]["text"] == place
        assert len(found[place]["refused"]) == 3, found
