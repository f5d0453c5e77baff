"""What a step leaves: the MLflow model, its predictions for the ensembles, its metrics in the MLflow run."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import tempfile
import time
import warnings
from typing import Any

import numpy
import pandas

from . import calendars
from .orders import Orders

LOG = logging.getLogger("doubleloop")
PACKAGE = "doubleloop_automl"
# Where Azure ML's AutoML leaves the model among the artifacts of a trial.
ARTIFACT = os.path.join("outputs", "mlflow-model")
_SIGNED_BY = 10_000  # rows


def model(asked: Orders, fitted: Any, rows: pandas.DataFrame, target: str) -> None:
    """Write the MLflow model (scikit-learn flavour) to the folder ``target`` and among the artifacts, those of the
    step and those of its MLflow run, which the model names.

    ``rows`` are raw rows that it was trained on: its signature, and three of them its input example.
    """
    seen = rows.iloc[:_SIGNED_BY]
    _write(asked, fitted, seen, seen.iloc[-3:], target)


def forecaster(asked: Orders, fitted: Any, rows: pandas.DataFrame, settings: dict[str, Any], target: str) -> None:
    """As ``model``; the input example are rows after the training data, and a column of the target may be there."""
    time = settings["time"]
    seen = rows.iloc[:_SIGNED_BY].assign(**{settings["target"]: [1.0, *[math.nan] * (min(len(rows), _SIGNED_BY) - 1)]})
    last = rows.iloc[[-1]]
    key = calendars.keyed(last, settings)[calendars.KEY].iloc[0]
    times = pandas.date_range(fitted.ends_[key], periods=4, freq=calendars.offset(settings["frequency"]))[1:]
    example = pandas.concat([last] * 3, ignore_index=True)
    is_text = not pandas.api.types.is_datetime64_any_dtype(rows[time])
    shape = "%Y-%m-%d" if (times == times.normalize()).all() else "%Y-%m-%d %H:%M:%S"
    example[time] = times.strftime(shape).astype(object) if is_text else times
    _write(asked, fitted, seen, example, target)


def _write(asked: Orders, fitted: Any, seen: pandas.DataFrame, example: pandas.DataFrame, target: str) -> None:
    import mlflow.models
    import mlflow.sklearn

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on whole numbers, which may have no missing values in a signature
        signature = mlflow.models.infer_signature(seen, fitted.predict(example))
    run = os.environ.get("MLFLOW_RUN_ID")
    with tempfile.TemporaryDirectory() as scratch:
        shutil.rmtree(ARTIFACT, ignore_errors=True)
        mlflow.sklearn.save_model(
            fitted,
            ARTIFACT,
            mlflow_model=mlflow.models.Model(artifact_path=ARTIFACT, run_id=run),
            conda_env=_environment(asked),
            code_paths=[_code(scratch)],
            signature=signature,
            input_example=example,
            serialization_format="cloudpickle",
            metadata={"algorithm": asked.algorithm, "task": asked.task},
        )
    shutil.copytree(ARTIFACT, target, dirs_exist_ok=True)
    if run:
        mlflow.MlflowClient().log_artifacts(run, ARTIFACT, ARTIFACT)


def _environment(asked: Orders) -> dict[str, Any]:
    return {
        "name": "automl",
        "channels": ["conda-forge"],
        "dependencies": ["python=%s" % asked.python, "pip", {"pip": list(asked.packages)}],
    }


def _code(scratch: str) -> str:
    """The modules that the model is made of, under the name that it knows them by."""
    here, there = os.path.dirname(os.path.abspath(__file__)), os.path.join(scratch, PACKAGE)
    os.makedirs(there)
    for name in sorted(os.listdir(here)):
        if name.endswith(".py") and name != "parallel_tables.py":
            shutil.copy(os.path.join(here, name), there)
    return there


def load(folder: str) -> Any:
    import mlflow.sklearn

    return mlflow.sklearn.load_model(folder)


def keep(folder: str, truth: Any, found: Any, fold: Any, **more: Any) -> None:
    """What the ensembles need: true values (or codes of labels), predictions, and the fold, of each judged row."""
    numpy.savez_compressed(os.path.join(folder, "predictions.npz"), truth=truth, found=found, fold=fold, **more)


def kept(folder: str) -> dict[str, Any]:
    with numpy.load(os.path.join(folder, "predictions.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def log(metrics: dict[str, float], primary: str, tags: dict[str, Any] | None = None) -> None:
    """Metrics and tags into the step's MLflow run; what is undefined is left out."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, RunTag

    now = int(time.time() * 1000)
    defined = {name: value for name, value in metrics.items() if math.isfinite(value)}
    run = os.environ.get("MLFLOW_RUN_ID")
    if run:
        told = [
            RunTag(name, value if isinstance(value, str) else json.dumps(value)) for name, value in (tags or {}).items()
        ]
        MlflowClient().log_batch(run, [Metric(name, value, now, 0) for name, value in defined.items()], (), told)
    with open(os.path.join("outputs", "metrics.json"), "w", encoding="utf-8") as file:
        json.dump(defined, file, indent=1, sort_keys=True)
    if primary in metrics:
        LOG.info("%s = %s", primary, metrics[primary])
