"""Run in an environment with torch: saves models, loads them as a scorer does, prints what came of it as JSON.

``python torch_models.py FOLDER KITS``; ``doubleloop`` must be importable.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy
import torch
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from torch import nn

from doubleloop.scorer import answers, mlflow_model


class Last(nn.Module):
    """A sequence of any length to what its last step says."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.out = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.steps(x)[0][:, -1])


class Branching(nn.Module):
    """What is exported is the branch that the example took."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x - 1


class NoOnnx(nn.Module):
    """An operation that ONNX has no word for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 36, 3)
    )  # fmt: skip


def tensor(kind: str, *shape: int) -> Schema:
    return Schema([TensorSpec(numpy.dtype(kind), shape)])


def main(folder: Path, kits: str) -> None:
    sys.modules["onnx"] = None  # type: ignore[assignment]  # as in most environments that have torch
    torch.manual_seed(0)
    draw = numpy.random.default_rng(1)
    image = draw.normal(size=(2, 1, 8, 8)).astype(numpy.float32)
    words = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(24, 2))
    columns = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    exported: dict[str, Any] = {"serialization_format": "pt2", "input_example": image}
    cases: dict[str, tuple[nn.Module, Schema, Any, dict[str, Any]]] = {
        "images": (images(), tensor("float32", -1, 1, 8, 8), image.tolist(), {}),
        "exported images": (images().eval(), tensor("float32", -1, 1, 8, 8), image.tolist(), exported),
        "words": (words, tensor("int64", -1, 6), draw.integers(0, 50, (2, 6)).tolist(), {}),
        "sequences": (torch.jit.script(Last()), tensor("float32", -1, -1, 4), draw.normal(size=(2, 5, 4)).tolist(), {}),
        "columns": (columns, Schema([ColSpec("double", "a"), ColSpec("long", "b")]), [[0.5, 1.5], [3, 4]], {}),
        "branching": (Branching(), tensor("float32", -1, 3), [[1.0, 2.0, 3.0], [-9.0, 1.0, 1.0]], {}),
        "no onnx": (NoOnnx(), tensor("float32", -1, 3), [[1.0, 2.0, 3.0], [0.5, 1.0, 1.0]], {}),
    }  # fmt: skip
    print(json.dumps({name: tried(folder / name.replace(" ", "-"), kits, *case) for name, case in cases.items()}))


def tried(
    folder: Path, kits: str, module: nn.Module, inputs: Schema, body: Any, options: dict[str, Any]
) -> dict[str, Any]:
    options = {"serialization_format": "pickle", **options}
    mlflow.pytorch.save_model(
        module, str(folder / "model"), signature=ModelSignature(inputs), pip_requirements=["torch"], **options
    )  # fmt: skip
    spec = {"model_dir": str(folder / "model"), "cache": str(folder / "cache"), "kits": kits}
    model, again = mlflow_model.MlflowModel(spec), mlflow_model.MlflowModel(spec)
    off = mlflow_model.MlflowModel({**spec, "compile": False})
    rows = len(body) if inputs.is_tensor_spec() else len(body[0])
    request = ({"rows": rows, "input": body}, b"")

    def said(found: Any) -> Any:
        return json.loads(answers.encode(found))

    together = model.predict_together([request, request]) if model.together else None
    return {
        "plan": model.plan, "again": again.plan, "together": together and [said(each) for each in together],
        "planned": said(model.predict(*request)), "native": said(model.predict(*request, native=True)),
        "off": said(off.predict(*request)), "off_plan": off.plan, "reviewed": model.review(),
        "kept": [each.name for each in (folder / "cache").glob("*")],
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
