"""A model of torch as a graph of ONNX, exported when the model is loaded.

By torch's TorchScript exporter (``dynamo=False``), which needs torch alone.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import warnings
from typing import Any, Dict, Iterator, List, Sequence

import numpy

from .. import frames
from . import graphs, runtime, samples
from .steps import NotPlanned

INPUT, OUTPUT = "X", "Y"
# What the exporters of torch 2.0 and newer know, and ONNX Runtime of the serving kits.
OPSET = 17
_MODULES = ("torch.onnx._internal.torchscript_exporter.onnx_proto_utils", "torch.onnx._internal.onnx_proto_utils")
_FUNCTION = "_add_onnxscript_fn"


def graph(model: Any, specs: Sequence[Dict[str, Any]], cache: str) -> graphs.Graph:
    """The graph of a ``torch.nn.Module``; ``cache``: folder where it is kept for the next scorer, or empty.

    Raises NotPlanned.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise NotPlanned("a %s of torch, which is no module" % type(model).__name__)
    path = os.path.join(cache, "torch-%s.onnx" % torch.__version__) if cache else ""
    if path and os.path.exists(path):
        with open(path, "rb") as file:
            return _graph(file.read(), specs)
    content = _exported(torch, model, specs)
    made = _graph(content, specs)
    if path:
        _keep(content, path)
    return made


def _graph(content: bytes, specs: Sequence[Dict[str, Any]]) -> graphs.Graph:
    session = runtime.session(content)
    if len(session.get_outputs()) != 1:
        raise NotPlanned("a model of %d outputs" % len(session.get_outputs()))
    if frames.is_tensor(specs):
        return graphs.Graph(session, graphs.feed(session, specs), lambda names, outputs: outputs[0])
    return graphs.Graph(session, _matrix(specs), _columns)


def _matrix(specs: Sequence[Dict[str, Any]]) -> graphs.Feed:
    """As MLflow turns a frame into a tensor: 32 bits, whatever the columns are."""
    wrong = [spec["type"] for spec in specs if spec["type"] not in (*frames.NUMERIC, "boolean")]
    if wrong:
        raise NotPlanned("a column of type %s, for a model of torch" % wrong[0])
    return lambda value: {INPUT: numpy.ascontiguousarray(numpy.array(value, dtype=numpy.float32).T)}


def _columns(names: List[str], outputs: List[Any]) -> Any:
    """As a frame of the outputs: one column for each, named by its place."""
    matrix = outputs[0].reshape(len(outputs[0]), -1)
    return graphs.rowwise([str(place) for place in range(matrix.shape[1])], matrix.T)


def _exported(torch: Any, model: Any, specs: Sequence[Dict[str, Any]]) -> bytes:
    problem: Exception = NotPlanned("a signature without tensors")
    for length in samples.OPEN:
        try:
            with _without_onnx(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _export(torch, model, *_example(torch, specs, length))
        except Exception as error:  # of another length than the model takes, or nothing that can be exported
            problem = error
        if frames.is_tensor(specs) and all(-1 not in spec["tensor-spec"]["shape"][1:] for spec in specs):
            break
    raise NotPlanned("torch does not export it: %s" % (str(problem).strip() or type(problem).__name__)[:300])


def _example(torch: Any, specs: Sequence[Dict[str, Any]], length: int) -> Any:
    """A tensor, and the axes whose length is open."""
    if not frames.is_tensor(specs):
        return torch.zeros((samples.ROWS, len(specs))), [0]
    if len(specs) != 1 or specs[0].get("name") is not None:
        raise NotPlanned("MLflow gives models of torch one tensor without a name")
    shape = specs[0]["tensor-spec"]["shape"]
    return torch.from_numpy(samples.tensors(specs, length)[0]), [n for n, each in enumerate(shape) if each == -1]


def _export(torch: Any, model: Any, example: Any, open_axes: List[int]) -> bytes:
    file = io.BytesIO()
    options: Dict[str, Any] = {
        "input_names": [INPUT], "output_names": [OUTPUT], "opset_version": OPSET,
        "training": torch.onnx.TrainingMode.PRESERVE,  # as MLflow has loaded it
        "dynamic_axes": {INPUT: {axis: "axis_%d" % axis for axis in open_axes}, OUTPUT: {0: "axis_0"}},
    }  # fmt: skip
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    with torch.no_grad():
        torch.onnx.export(model, (example,), file, **options)
    return file.getvalue()


@contextlib.contextmanager
def _without_onnx() -> Iterator[None]:
    """The exporter insists on the package ``onnx`` to look for functions of onnxscript in what it has made; without
    that package there are none, and what it has made is right as it is."""
    try:
        importlib.import_module("onnx")
    except ImportError:
        pass
    else:
        yield
        return
    found = [module for module in map(_module, _MODULES) if hasattr(module, _FUNCTION)]
    known = [getattr(module, _FUNCTION) for module in found]
    for module in found:
        setattr(module, _FUNCTION, lambda content, opsets: content)
    try:
        yield
    finally:
        for module, function in zip(found, known):  # noqa: B905
            setattr(module, _FUNCTION, function)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _keep(content: bytes, path: str) -> None:
    beside = "%s.%d" % (path, os.getpid())
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except OSError:  # it is made again by the next one
        pass
