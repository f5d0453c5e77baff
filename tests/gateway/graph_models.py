"""Small graphs of ONNX, saved as MLflow models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import helper, numpy_helper

FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
WEIGHTS = numpy.random.default_rng(3).normal(size=(12, 3)).astype(numpy.float32)
TENSOR = [TensorSpec(numpy.dtype("float32"), (-1, 1, 3, 4))]
PAIRS = [TensorSpec(numpy.dtype("float32"), (-1, 2))]


def graph(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], **weights: Any) -> Any:
    made = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=OPSETS, ir_version=8)
    onnx.checker.check_model(model)
    return model


def images() -> Any:
    """x (n, 1, 3, 4) -> shares (n, 3) and label (n)."""
    return graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["z"]),
         helper.make_node("Softmax", ["z"], ["shares"], axis=1),
         helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)],
        [("x", FLOAT, ["n", 1, 3, 4])], [("shares", FLOAT, ["n", 3]), ("label", INT64, ["n"])], w=WEIGHTS,
    )  # fmt: skip


def centred() -> Any:
    """Each row less the mean of all of them: rows do not stand alone."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]), helper.make_node("Sub", ["x", "m"], ["y"])]
    return graph(nodes, [("x", FLOAT, ["n", 2])], [("y", FLOAT, ["n", 2])])


def matrix() -> Any:
    """x (n, 2) -> y (n, 1)."""
    return graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, ["n", 2])], [("y", FLOAT, ["n", 1])],
        w=WEIGHTS[:2, :1].copy(),
    )  # fmt: skip


def two() -> Any:
    """a (n) and b (n) -> sum (n)."""
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    return graph([node], [("a", FLOAT, ["n"]), ("b", FLOAT, ["n"])], [("sum", FLOAT, ["n"])])


def texts() -> Any:
    """text (n, 1) -> whether it is "spam" (n, 1)."""
    node = helper.make_node(
        "LabelEncoder", ["text"], ["y"], domain="ai.onnx.ml", keys_strings=["spam", "ham"], values_int64s=[1, 0],
        default_int64=-1,
    )  # fmt: skip
    return graph([node], [("text", STRING, ["n", 1])], [("y", INT64, ["n", 1])])


def columns(**types: str) -> list[Any]:
    return [ColSpec(kind, name) for name, kind in types.items()]


def save(model: Any, folder: Path, inputs: list[Any]) -> Path:
    mlflow.onnx.save_model(
        model, str(folder), signature=ModelSignature(Schema(inputs)), pip_requirements=["onnxruntime"]
    )  # fmt: skip
    return folder
