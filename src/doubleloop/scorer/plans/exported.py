"""From an MLflow model of ONNX or torch to its guarded graph."""

from __future__ import annotations

import os
from typing import Any, Dict, Sequence

from .. import frames
from . import graphs, guarded, runtime, torch_graph
from .guarded_graph import GuardedGraph

# A larger file is not loaded a second time: MLflow's own session answers.
LARGE_BYTES = 500 << 20


def guard(
    kind: str, model: Any, folder: str, specs: Sequence[Dict[str, Any]], native: guarded.Native, cache: str
) -> GuardedGraph:
    """``kind``: onnx or torch. ``model``: MLflow's wrapper (``PyFuncModel``) of the model in ``folder``."""
    raw = model._model_impl.get_raw_model() if hasattr(model._model_impl, "get_raw_model") else None
    if kind == "onnx":
        raw = raw or model._model_impl.rt
        return GuardedGraph(lambda: _of_onnx(raw, model, folder, specs), kind, specs, native, example(model))
    raw = raw or model._model_impl.pytorch_model
    return GuardedGraph(lambda: torch_graph.graph(raw, specs, cache), kind, specs, native, example(model))


def _of_onnx(known: Any, model: Any, folder: str, specs: Sequence[Dict[str, Any]]) -> graphs.Graph:
    session = _session(known, model, folder)
    answer = graphs.by_name if frames.is_tensor(specs) else graphs.records
    return graphs.Graph(session, graphs.feed(session, specs), answer)


def _session(known: Any, model: Any, folder: str) -> Any:
    """One of one thread, unless the model says how it wants to be run, or is too large to be there twice."""
    told = model.metadata.flavors.get("onnx", {})
    path = os.path.join(folder, told.get("data", "model.onnx"))
    plain = not told.get("onnx_session_options") and known.get_providers() == ["CPUExecutionProvider"]
    size = sum(os.path.getsize(os.path.join(folder, each)) for each in os.listdir(folder) if _is_file(folder, each))
    return runtime.session(path) if plain and size < LARGE_BYTES and os.path.isfile(path) else known


def _is_file(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))


def example(model: Any) -> Any:
    """What the model was logged with, if that can be had."""
    try:
        return getattr(model, "input_example", None)
    except Exception:
        return None
