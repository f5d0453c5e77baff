"""Several ways to the same sums: which of them is quickest for how many rows, found out when the model is loaded."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Tuple

import numpy

from .bits import Bits
from .runtime import TreeSession
from .steps import NotPlanned, Step
from .trees import Trees, fitting

Scores = Callable[[Any], Any]

LIBRARY, RUNTIME, BITS = "library", "onnxruntime", "bits"
SIZES = (1, 8, 32, 128, 256, 1024, 4096)
# A size is not tried when the one before took longer than this (seconds): a model is loaded, somebody waits.
PATIENCE = 0.02
PROVED_ROWS = 64


class Ways(Step):
    """``run(matrix)``: rows x columns of the sums, as ``library`` itself gives them, bit by bit: a way that differs in
    one is not taken. ``told``: which way takes how many rows, and why another is not there.
    """

    def __init__(self, library: Scores, trees: Trees) -> None:
        self._dtype, self._trees = trees.dtype, trees
        self.told: Dict[str, Any] = {}
        ways: Dict[str, Scores] = {LIBRARY: library}
        rows = _rows(trees)
        expected = library(rows[:PROVED_ROWS])
        for name, make in ((RUNTIME, TreeSession), (BITS, Bits)):
            try:
                way = make(trees).scores
                _prove(way(rows[:PROVED_ROWS]), expected)
                ways[name] = way
            except NotPlanned as error:
                self.told["not_" + name] = str(error)
        self._table = _timed(ways, rows) if len(ways) > 1 else [(SIZES[0], LIBRARY, library)]
        self.told["by_rows"] = {str(size): name for size, name, _ in self._table}

    def portable(self, most_nodes: int) -> Trees:
        """The trees, if ONNX Runtime alone may answer for them. Raises NotPlanned."""
        if "not_" + RUNTIME in self.told:
            raise NotPlanned("trees without ONNX Runtime: %s" % self.told["not_" + RUNTIME])
        nodes = sum(len(tree.left) for tree in self._trees.trees)
        if nodes > most_nodes:
            raise NotPlanned("trees of %d nodes" % nodes)
        return self._trees

    def run(self, matrix: Any) -> Any:
        rows = len(matrix)
        if matrix.dtype != self._dtype:
            matrix = matrix.astype(self._dtype)  # the order of the axes stays
        for size, _, way in reversed(self._table):
            if rows >= size:
                return way(matrix)
        return self._table[0][2](matrix)


def _prove(found: Any, expected: Any) -> None:
    same = (found == expected) | (numpy.isnan(found) & numpy.isnan(expected))
    if found.shape != expected.shape or not same.all():
        raise NotPlanned("its sums are not those of the library to the last bit")


def _rows(trees: Trees) -> Any:
    """Rows at and about the thresholds, the largest numbers that go left and the smallest that go right among them."""
    draw = numpy.random.default_rng(13)
    matrix = numpy.zeros((SIZES[-1], trees.features()), dtype=trees.dtype)
    known: Dict[int, List[Any]] = {}
    for tree in trees.trees[:50]:
        inner = tree.inner()[:256]
        for feature, threshold in zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist()):  # noqa: B905
            known.setdefault(feature, []).append(threshold)
    for feature, thresholds in known.items():
        at = fitting(numpy.array(thresholds), trees.dtype)
        near = numpy.concatenate([at, numpy.nextafter(at, numpy.asarray(numpy.inf, trees.dtype))])
        near = near[numpy.isfinite(near)]
        if len(near):
            matrix[:, feature] = draw.choice(near, len(matrix))
    if trees.missing:
        matrix[draw.random(matrix.shape) < 0.05] = numpy.nan
    return matrix


def _timed(ways: Dict[str, Scores], rows: Any) -> List[Tuple[int, str, Scores]]:
    """From which size on which way is the quickest."""
    found: List[Tuple[int, str, Scores]] = []
    for size in SIZES:
        took = {name: seconds(way, numpy.asfortranarray(rows[:size])) for name, way in ways.items()}
        name = min(took, key=lambda each: took[each])
        if not found or found[-1][1] != name:
            found.append((size, name, ways[name]))
        if took[name] > PATIENCE:
            break
    return found


def seconds(way: Scores, rows: Any) -> float:
    """Seconds, of the best of three tries."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        way(rows)
        best = min(best, time.perf_counter() - began)
    return best
