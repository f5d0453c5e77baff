"""What a component found out about its model: ``metrics.json`` and ``slices.csv`` in its output ``evaluation``, and the
same numbers in the MLflow run of the job."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
import pandas

Metrics = Mapping[str, float]
_PARTS = 4  # of a column of numbers, by its quartiles
_MOST = 20  # slices of one column; the rest is one slice


def write(
    folder: str, *, task: str, primary: str, metrics: Metrics, baseline: str, baseline_metrics: Metrics,
    rows: Mapping[str, int], slices: pandas.DataFrame | None = None, more: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """``primary``: the metric that the task is judged by first; ``baseline``: what the naive answer is (``majority
    class``, ``seasonal naive``), whose metrics stand beside; ``rows``: how many of each part (train, test)."""
    os.makedirs(folder, exist_ok=True)
    told = {
        "task": task, "primary": primary, "rows": dict(rows), "metrics": _plain(metrics),
        "baseline": {"name": baseline, "metrics": _plain(baseline_metrics)}, **(more or {}),
    }  # fmt: skip
    with open(os.path.join(folder, "metrics.json"), "w", encoding="utf-8") as file:
        json.dump(told, file, indent=1, ensure_ascii=False)
        file.write("\n")
    if slices is not None:
        slices.to_csv(os.path.join(folder, "slices.csv"), index=False)
    for name, value in told["metrics"].items():
        beside = told["baseline"]["metrics"].get(name)
        print(f"{name} = {_short(value)}" + (f" ({baseline}: {_short(beside)})" if beside is not None else ""))
    log({**metrics, **{f"baseline_{name}": value for name, value in baseline_metrics.items()}})
    if os.environ.get("MLFLOW_RUN_ID"):
        from mlflow import MlflowClient

        MlflowClient().log_artifacts(os.environ["MLFLOW_RUN_ID"], folder, "evaluation")


def log(metrics: Metrics, step: int = 0) -> None:
    """Metrics into the job's MLflow run; without a job, nothing. What is undefined is left out."""
    run = os.environ.get("MLFLOW_RUN_ID")
    defined = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    if run and defined:
        from mlflow import MlflowClient
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        MlflowClient().log_batch(run, [Metric(name, value, now, step) for name, value in defined.items()])


def sliced(
    frame: pandas.DataFrame, names: Sequence[str], score: Callable[[numpy.ndarray], Metrics]
) -> pandas.DataFrame | None:  # fmt: skip
    """One row for each value of each column (quartiles of numbers; the rarest values together): ``column``, ``value``,
    ``rows`` and the metrics. ``score`` is given a mask over the rows of ``frame``. None without columns."""
    found = []
    for name in names:
        labels = _labels(frame[name])
        for label in sorted(set(labels)):
            mask = labels == label
            found.append({"column": name, "value": label, "rows": int(mask.sum()), **score(mask)})
    return pandas.DataFrame(found) if found else None


def _labels(values: pandas.Series) -> numpy.ndarray:
    if pandas.api.types.is_numeric_dtype(values) and values.nunique() > _PARTS * 2:
        cut = pandas.qcut(values, _PARTS, duplicates="drop")
        return cut.astype(str).where(values.notna(), "missing").to_numpy(dtype=object)
    texts = values.astype(str).where(values.notna(), "missing")
    kept = set(texts.value_counts().index[:_MOST])
    return texts.where(texts.isin(kept), "other").to_numpy(dtype=object)


def _plain(metrics: Metrics) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
