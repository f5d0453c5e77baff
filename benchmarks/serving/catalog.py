"""Who serves the model: each peer as its documentation says it is done for a scikit-learn pipeline, with one worker.

Each entry is one process (and what it starts) that listens on a port. What runs in an environment of a peer is in
``peers``. Logs of single requests are off, where a peer has such a switch. ``batching`` entries are the same peers with
the batching of requests that they offer switched on, which none of them does by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import bodies

HERE = Path(__file__).resolve().parent / "peers"
SPLIT = bodies.split("input_data")


@dataclass(frozen=True)
class Place:
    """Where one server runs: ``bin`` of its environment, a ``port`` that is free, a ``folder`` of its own (empty),
    the ``model`` (see ``model``)."""

    bin: Path
    port: int
    folder: Path
    model: Path


@dataclass(frozen=True)
class Entry:
    """``environment``: whose requirements are installed for it. ``command``: from where it runs to its arguments.
    ``answers``: the keys to the predictions in its JSON. ``kind``: peer, batching, ours, ceiling (a model that does
    nothing) or echo (no model and no server to speak of)."""

    name: str
    title: str
    environment: str
    command: Callable[[Place], list[str]]
    path: str = "/"
    encode: bodies.Encode = SPLIT
    answers: tuple[str | int, ...] = ()
    kind: str = "peer"
    variables: dict[str, str] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = ()


def _program(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [str(place.bin / "python"), str(HERE / name), str(place.port)]


def _fastapi(place: Place) -> list[str]:
    return [
        str(place.bin / "uvicorn"), "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(place.port),
        "--workers", "1", "--log-level", "warning", "fastapi_app:app",
    ]  # fmt: skip


def _mlflow(place: Place) -> list[str]:
    return [
        str(place.bin / "mlflow"), "models", "serve", "--model-uri", str(place.model / "mlflow"),
        "--env-manager", "local", "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1",
    ]  # fmt: skip


def _bentoml(place: Place) -> list[str]:
    return [
        str(place.bin / "bentoml"), "serve", "bentoml_app:Served", "--working-dir", str(HERE),
        "--host", "127.0.0.1", "--port", str(place.port),
    ]  # fmt: skip


def _mlserver(batched: bool) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        settings = {
            "host": "127.0.0.1", "http_port": place.port, "grpc_port": place.port + 1, "metrics_port": place.port + 2,
            "parallel_workers": 1, "debug": False,
        }  # fmt: skip
        served = {
            "name": "served", "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(place.model / "model.joblib"), "content_type": "pd"},
        }  # fmt: skip
        more = {"max_batch_size": 64, "max_batch_time": 0.005} if batched else {}
        (place.folder / "settings.json").write_text(json.dumps(settings))
        (place.folder / "model-settings.json").write_text(json.dumps(served | more))
        return [str(place.bin / "mlserver"), "start", str(place.folder)]

    return command


# What a server without a model predicts.
CONSTANT = 12.5
BATCH = {"BATCH": "1"}
V2 = "/v2/models/served/infer"
PREDICTIONS = ("predictions",)

PEERS = (
    Entry("mlflow", "MLflow models serve", "mlflow", _mlflow, "/invocations",
          bodies.split("dataframe_split"), PREDICTIONS),
    Entry("mlserver", "MLServer", "mlserver", _mlserver(False), V2, bodies.tensors, ("outputs", 0, "data")),
    Entry("bentoml", "BentoML", "bentoml", _bentoml, "/predict", bodies.records("frame"),
          variables={"BENTOML_DO_NOT_TRACK": "True"}),
    Entry("litserve", "LitServe", "litserve", _program("litserve_app.py"), "/predict", SPLIT, PREDICTIONS),
    Entry("kserve", "KServe SDK", "kserve", _program("kserve_app.py"), "/v1/models/served:predict",
          bodies.frame("instances"), PREDICTIONS),
    Entry("ray", "Ray Serve", "ray", _program("ray_app.py")),
    Entry("fastapi", "FastAPI + joblib", "fastapi", _fastapi, "/score"),
)  # fmt: skip

BATCHING = (
    Entry("mlserver-batching", "MLServer, batching", "mlserver", _mlserver(True), V2, bodies.tensors,
          ("outputs", 0, "data"), "batching"),
    Entry("bentoml-batching", "BentoML, batching", "bentoml", _bentoml, "/predict", bodies.records("frame"),
          kind="batching", variables={"BENTOML_DO_NOT_TRACK": "True", **BATCH}),
    Entry("litserve-batching", "LitServe, batching", "litserve", _program("litserve_app.py"), "/predict", SPLIT,
          PREDICTIONS, "batching", BATCH),
    Entry("ray-batching", "Ray Serve, batching", "ray", _program("ray_app.py"), kind="batching", variables=BATCH),
)  # fmt: skip


def _echo(place: Place) -> list[str]:
    rows = bodies.read(place.model)
    answers = {len(SPLIT(rows.cut(size)[0])): json.dumps([CONSTANT] * size) for size in bodies.DIFFERENT}
    (place.folder / "answers.json").write_text(json.dumps(answers))
    return [sys.executable, str(HERE.parent / "echo.py"), str(place.port), str(place.folder / "answers.json")]


ECHO = Entry("echo", "a fixed answer (the generator's ceiling)", "doubleloop", _echo, kind="echo")
