"""The trained network as an MLflow model: images in, labels or masks out."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

import numpy
import pandas
import torch

from ..shared import saving
from . import model as served
from . import networks, pictures

EXAMPLES = 4
# Those of the component's own environment: the model's is the same one, then, and is not built a second time.
_PACKAGES = ("torch", "numpy", "pandas", "pillow", "pyarrow")


def model(network: networks.Network, told: dict[str, Any], images: numpy.ndarray, script: Any, target: str) -> None:
    """``images``: some that it was judged by, its input example; ``script``: the TorchScript of its backbone, if any.

    The model's metadata say what a server may tell of it: the task, the classes in the order of probabilities and of a
    mask's values, and the column that takes images.
    """
    import mlflow.pyfunc

    example = pandas.DataFrame({served.COLUMN: [pictures.png(each) for each in images[:EXAMPLES]]})
    packages = [*_PACKAGES, *(["transformers"] if told["architecture"] == "huggingface" else [])]
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "network")
        _write(network, told, script, folder)

        def save(path: str, **given: Any) -> None:
            # MLflow tells no columns of a frame where scipy is not installed.
            signed = {**given, "signature": _signature(told)}
            mlflow.pyfunc.save_model(path, loader_module=served.__name__, data_path=folder, **signed)

        saving.write(
            target,
            save,
            example=example, answer=served.VisionModel(folder).predict(example), packages=packages,
            families=("vision",),
            metadata={"task": told["task"], "classes": told["labels"], "image": served.COLUMN},
        )  # fmt: skip


def _signature(told: dict[str, Any]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    if told["task"] == "semantic_segmentation":
        answer: list[Any] = [ColSpec(DataType.string, "mask"), ColSpec(Array(DataType.double), "shares")]
    else:
        answer = [
            ColSpec(DataType.string, "prediction"), ColSpec(DataType.double, "probability"),
            ColSpec(Array(DataType.double), "probabilities"),
        ]  # fmt: skip
    return ModelSignature(Schema([ColSpec(DataType.binary, served.COLUMN)]), Schema(answer))


def _write(network: networks.Network, told: dict[str, Any], script: Any, folder: str) -> None:
    os.makedirs(folder)
    with open(os.path.join(folder, "network.json"), "w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    numpy.savez(os.path.join(folder, "weights.npz"), **weights)
    if script is not None:
        torch.jit.save(script, os.path.join(folder, "backbone.pt"))
