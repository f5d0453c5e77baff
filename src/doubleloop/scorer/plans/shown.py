"""Models of somebody's own class that show the network in them: only the network becomes a graph of ONNX.

Such a model (what ``mlflow.pyfunc`` loads, or the ``PythonModel`` in it) has ``torch_module``, ``encode(frame)``, which
gives one array of 32 bits with a row for each row of the frame and whatever ``decode`` needs beside it, and
``decode(array, beside)``. Its answer is ``decode(torch_module(array), beside)``: pictures are read and answers written
outside of the graph, by the model's own code.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy

from .. import answers, frames
from . import guarded, guarded_graph, torch_graph
from .steps import NotPlanned

SHOWN = ("torch_module", "encode", "decode")
# Rows that it was logged with, at least: fewer would say too little of it.
FEWEST = 2


def shows(model: Any) -> Any:
    """What shows its network: the model or what it wraps; None where nothing does."""
    for each in (model, getattr(model, "python_model", None)):
        if each is not None and all(hasattr(each, name) for name in SHOWN):
            return each
    return None


class GuardedNetwork(guarded_graph.GuardedGraph):
    """Held against the model on the rows that it was logged with, together and each alone."""

    def __init__(
        self, model: Any, builder: frames.FrameBuilder, specs: Sequence[Dict[str, Any]], native: guarded.Native,
        example: Any, cache: str,
    ) -> None:  # fmt: skip
        rows = _columns(example, specs)
        super().__init__(
            lambda: _Network(model, builder, rows, cache), "torch", specs,
            lambda columns, count: answers.to_plain(native(columns, count)), rows,
        )  # fmt: skip

    def _proved(self, model: Any, specs: Sequence[Dict[str, Any]], method: str) -> Any:
        plan = self._make()
        self.tolerance = guarded_graph.NARROW
        count = len(self._example[0])
        alone = [[column[row : row + 1] for column in self._example] for row in range(count)]
        found = plan.run(self._example)
        for value in (self._example, *alone):
            expected = self._native(value, len(value[0]))
            self.largest = max(self.largest, guarded.difference(plan.run(value), expected, self.tolerance))
            self.rows += len(value[0])
        self.together = all(_same(plan.run(each), found[row : row + 1]) for row, each in enumerate(alone))
        return plan


def _same(one: Any, other: Any) -> bool:
    try:
        guarded.difference(one, other, guarded_graph.NARROW)
    except guarded.Disagreement:
        return False
    return True


class _Network:
    """``run(columns)``: records, one for each row."""

    trees = None

    def __init__(self, model: Any, builder: frames.FrameBuilder, rows: List[List[Any]], cache: str) -> None:
        if len(rows[0] if rows else ()) < FEWEST:
            raise NotPlanned("the model was logged without an example of %d rows" % FEWEST)
        self._model, self._builder = model, builder
        array, _ = self._encoded(rows)
        shape = [-1, *array.shape[1:]]
        spec = {"type": "tensor", "tensor-spec": {"dtype": str(array.dtype), "shape": shape}}
        self._graph = torch_graph.graph(model.torch_module, [spec], cache)

    def run(self, columns: List[Any]) -> Any:
        array, beside = self._encoded(columns)
        return answers.to_plain(self._model.decode(self._graph.run(array), beside))

    def _encoded(self, columns: List[Any]) -> Any:
        count = len(columns[0])
        array, beside = self._model.encode(self._builder.build(columns, count, fill=False))
        if len(array) != count or array.dtype != numpy.float32:
            raise NotPlanned("encode gave %d rows of %s for %d rows" % (len(array), array.dtype, count))
        return array, beside


def _columns(example: Any, specs: Sequence[Dict[str, Any]]) -> List[List[Any]]:
    """A frame that the model was logged with, as a request holds it; empty where it is no such frame."""
    names = [spec.get("name") for spec in specs]
    if not hasattr(example, "columns") or any(name not in example.columns for name in names):
        return []
    return [answers.to_plain(example[name]) for name in names]
