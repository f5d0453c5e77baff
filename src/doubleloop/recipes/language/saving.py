"""Models of texts as MLflow models that load wherever their packages are, and evaluations with further tables."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas

from ..shared import evaluations, saving
from ..shared.problems import BadData
from . import serving


def model(
    target: str, kind: str, write: Callable[[str], None], example: pandas.DataFrame, *, task: str,
    packages: Sequence[str], answer: pandas.DataFrame | None = None, metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None, streamable: bool = False,
) -> None:  # fmt: skip
    """Write the MLflow model of ``kind`` (a key of ``serving.KINDS``) to the folder ``target``.

    ``write`` puts the model's files into the folder that it is given. ``example``: rows of the input, with which the
    signature is made by asking the model, or ``answer`` where answers may be empty lists, which have no type.
    ``metadata`` stands in MLmodel, from which endpoints describe themselves.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as data:
        write(data)
        serving.mark(data, kind)
        answered = serving._load_pyfunc(data).predict(example) if answer is None else answer
        save = functools.partial(
            _save, mlflow.pyfunc.save_model, loader_module=f"{saving.PACKAGE}.language.serving", data_path=data,
            streamable=streamable,
        )  # fmt: skip
        saving.write(
            target, save, example=example, answer=answered,
            packages=("pandas", "numpy", "pyarrow", *packages), families=("language",), params=params,
            metadata={"task": task, **(metadata or {})},
        )  # fmt: skip


def _save(save: Callable[..., None], path: str, **more: Any) -> None:
    save(path, **more)


def evaluation(
    folder: str, *, task: str, primary: str, metrics: Mapping[str, float], baseline: str,
    baseline_metrics: Mapping[str, float], rows: Mapping[str, int], slices: pandas.DataFrame | None = None,
    tables: Mapping[str, pandas.DataFrame] | None = None,
) -> None:  # fmt: skip
    """As ``shared.evaluations.write``, with ``NAME.csv`` for each further table."""
    os.makedirs(folder, exist_ok=True)
    for name, table in (tables or {}).items():
        table.to_csv(os.path.join(folder, f"{name}.csv"), index=False)
    evaluations.write(
        folder, task=task, primary=primary, metrics=metrics, baseline=baseline, baseline_metrics=baseline_metrics,
        rows=rows, slices=slices,
    )  # fmt: skip


def checkpoint(path: str) -> str:
    """A folder with a Hugging Face checkpoint. Raises BadData for one that is none: nothing is downloaded."""
    if not os.path.isfile(os.path.join(path, "config.json")):
        raise BadData(
            f"{os.path.basename(os.path.normpath(path))} holds no config.json, so it is no Hugging Face checkpoint; "
            "give the folder that save_pretrained wrote"
        )
    return path
