"""ONNX Runtime, where there is one: in the user's environment, or in the serving kit behind it."""

from __future__ import annotations

from typing import Any, Tuple

import numpy

from .. import kit
from . import onnx_file
from .steps import NotPlanned
from .trees import Trees

# Nodes of all trees: beyond, the model would lie in memory several times.
MOST_NODES = 3_000_000


def _library() -> Any:
    """Raises NotPlanned."""
    try:
        found = kit.onnxruntime()
        found.set_default_logger_severity(4)
        return found
    except Exception as error:  # not there, or for another Python, another numpy, another C library
        raise NotPlanned("ONNX Runtime cannot be imported: %s" % error) from error


def session(model: Any, threads: int = 1) -> Any:
    """An ``InferenceSession`` of a model's bytes or its file's path, on the processor. Raises NotPlanned."""
    library = _library()
    options = library.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        return library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise NotPlanned(
            "ONNX Runtime %s does not load it: %s" % (library.__version__, str(error).strip()[:300])
        ) from error


class TreeSession:
    """The sums of trees, as ``trees.Trees`` has them. Raises NotPlanned."""

    def __init__(self, trees: Trees) -> None:
        nodes = sum(len(tree.left) * tree.values.shape[1] for tree in trees.trees)
        if nodes > MOST_NODES:
            raise NotPlanned("trees of %d nodes" % nodes)
        self._session, self._kind = session(onnx_file.model(trees)), trees.sums

    def scores(self, matrix: Any) -> Any:
        """Rows x columns of the sums."""
        wide = numpy.ascontiguousarray(matrix, dtype=self._kind)
        found: Tuple[Any, ...] = self._session.run([onnx_file.OUTPUT], {onnx_file.INPUT: wide})
        return found[0]
