"""Fitted trees as plain arrays, whatever library grew them: what ``bits`` and ``runtime`` are made from."""

from __future__ import annotations

from typing import Any, List, Optional

import numpy

LEAF = -1


class Tree:
    """Arrays with one entry a node, the root first. At an inner node x[feature] <= threshold goes left, more goes
    right, and NaN goes left where ``missing_left``. A leaf has the children -1, and adds its row of ``values`` (nodes x
    columns, float64).
    """

    def __init__(self, left: Any, right: Any, feature: Any, threshold: Any, missing_left: Any, values: Any) -> None:
        self.left, self.right, self.feature, self.threshold = left, right, feature, threshold
        self.missing_left, self.values = missing_left, values

    def depth(self) -> int:
        level, depth = numpy.array([0]), 0
        while True:
            inner = level[self.left[level] != LEAF]
            if not len(inner):
                return depth
            level, depth = numpy.concatenate([self.left[inner], self.right[inner]]), depth + 1

    def inner(self) -> Any:
        """The numbers of the nodes that are no leaves."""
        return numpy.flatnonzero(self.left != LEAF)


class Trees:
    """Trees whose leaves are added up, in this order, on top of ``first`` (one number a column).

    ``columns[number]``: to which column of the scores a tree with one value a leaf adds; a tree with several values
    adds each to its own. ``dtype``: in which x and the thresholds are compared. ``features``: columns that a matrix
    must have at least; ``missing``: whether their library answers for NaN; ``sums``: the type that is added up in.
    """

    def __init__(
        self,
        trees: List[Tree],
        columns: List[int],
        first: Any,
        dtype: Any,
        features: int = 0,
        missing: bool = False,
        sums: Any = numpy.float64,
    ) -> None:
        self.trees, self.columns, self.dtype, self.missing = trees, columns, numpy.dtype(dtype), missing
        self.sums = numpy.dtype(sums)
        self._features = features
        self.first = numpy.asarray(first, dtype=numpy.float64).ravel()

    @property
    def width(self) -> int:
        return len(self.first)

    def features(self) -> int:
        """How many columns a matrix must have for them."""
        return max(
            self._features, 1 + max([int(tree.feature[tree.inner()].max(initial=0)) for tree in self.trees], default=0)
        )


def of_sklearn(tree: Any, times: Optional[float] = None, width: int = 1) -> Tree:
    """``DecisionTree*.tree_``: ``times`` is what each value is multiplied by, ``width`` how many a leaf has."""
    values = tree.value[:, 0, :width]
    missing = getattr(tree, "missing_go_to_left", None)
    if missing is None:
        missing = numpy.zeros(len(tree.feature))
    return Tree(
        tree.children_left, tree.children_right, tree.feature, tree.threshold, numpy.asarray(missing, dtype=bool),
        values if times is None else values * times,
    )  # fmt: skip


def of_histograms(predictor: Any) -> Tree:
    """A ``TreePredictor`` of ``HistGradientBoosting*`` without categories."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (numpy.where(leaf, LEAF, nodes[side].astype(numpy.int64)) for side in ("left", "right"))
    return Tree(
        left, right, nodes["feature_idx"], nodes["num_threshold"], nodes["missing_go_to_left"].astype(bool),
        nodes["value"].reshape(-1, 1),
    )  # fmt: skip


def fitting(thresholds: Any, dtype: Any) -> Any:
    """The largest numbers of ``dtype`` that are not above the thresholds: x <= threshold for the same x of it."""
    found = numpy.asarray(thresholds).astype(dtype)
    return numpy.where(found > thresholds, numpy.nextafter(found, numpy.asarray(-numpy.inf, dtype)), found)
