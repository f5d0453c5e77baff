"""Writing a trained model as an MLflow model that is served as it is."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PACKAGE = "doubleloop_recipes"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write(
    target: str, save: Callable[..., None], *, example: Any, answer: Any, packages: Sequence[str],
    families: Sequence[str] = (), metadata: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the model to ``target`` (the output ``model``).

    ``save``: a flavour's ``save_model`` with the model in it; it is called as ``save(path, signature=...,
    input_example=..., conda_env=..., code_paths=..., metadata=...)``. ``example`` is given in, ``answer`` comes out (a
    frame, array or dictionary of lists): the signature is theirs, with ``params`` that a caller may set. ``packages``
    are pinned to what is installed here. ``families``: whose Python the model needs when it is loaded.
    """
    import mlflow.models

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on whole numbers, which may have no missing values in a signature
        signature = mlflow.models.infer_signature(example, answer, dict(params) if params else None)
    with tempfile.TemporaryDirectory() as scratch:
        place = os.path.join(scratch, "model")
        save(
            place, signature=signature, input_example=example, conda_env=environment(packages),
            code_paths=[_code(scratch, families)] if families else None, metadata=dict(metadata or {}),
        )  # fmt: skip
        shutil.copytree(place, target, dirs_exist_ok=True)


def environment(packages: Sequence[str]) -> dict[str, Any]:
    """A conda environment with this Python and the packages as they are installed here, with MLflow and what batch
    scoring gives columns in (pyarrow).

    A version's local part (``2.13.0+cpu``) is left out: an index does not have it.
    """
    arrow = ["pyarrow"] if importlib.util.find_spec("pyarrow") else []
    names = list(dict.fromkeys([*packages, "mlflow-skinny", *arrow]))
    pins = [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in names]
    python = ".".join(platform.python_version_tuple()[:2])
    return {"name": "recipe", "channels": ["conda-forge"], "dependencies": [f"python={python}", "pip", {"pip": pins}]}


def _code(scratch: str, families: Sequence[str]) -> str:
    """The Python of these families under the name that pickles know it by."""
    there = os.path.join(scratch, PACKAGE)
    os.makedirs(there)
    with open(os.path.join(there, "__init__.py"), "w", encoding="utf-8"):
        pass
    for family in ("shared", *families):
        shutil.copytree(
            os.path.join(_ROOT, family),
            os.path.join(there, family),
            ignore=shutil.ignore_patterns("__pycache__", "*.yml"),
        )
    return there
