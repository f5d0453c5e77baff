"""The trained network as an MLflow model: images in, labels or masks out."""

from __future__ import annotations

import functools
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
        saving.write(
            target,
            functools.partial(mlflow.pyfunc.save_model, loader_module=served.__name__, data_path=folder),
            example=example, answer=served.VisionModel(folder).predict(example), packages=packages,
            families=("vision",),
            metadata={"task": told["task"], "classes": told["labels"], "image": served.COLUMN},
        )  # fmt: skip


def _write(network: networks.Network, told: dict[str, Any], script: Any, folder: str) -> None:
    os.makedirs(folder)
    with open(os.path.join(folder, "network.json"), "w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    numpy.savez(os.path.join(folder, "weights.npz"), **weights)
    if script is not None:
        torch.jit.save(script, os.path.join(folder, "backbone.pt"))
