"""Trees of LightGBM's, by the quickest of ``ways``: the library itself is one of them."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional

import numpy

from . import trees, ways

# Objectives whose answers are the sums themselves.
PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
BINARY = re.compile(r"^binary sigmoid:([0-9.eE+-]+)$")


def lightgbm(booster: Any) -> Optional[Any]:
    """``run`` and ``told`` as of ``ensembles.Answers``, for what ``Booster.predict`` answers; None where the library
    has the only way: of categories, linear trees, zeros as missing values, other objectives, averages."""
    if not hasattr(booster, "dump_model"):
        return None
    model = booster.dump_model()
    finish = _finish(str(model.get("objective", "")))
    width = int(model["num_tree_per_iteration"])
    grown = [tree for tree in (_tree(each["tree_structure"]) for each in model["tree_info"]) if tree is not None]
    if finish is None or model.get("average_output") or not grown or len(grown) != len(model["tree_info"]):
        return None
    columns = [number % width for number in range(len(grown))]
    known = trees.Trees(grown, columns, numpy.zeros(width), numpy.float64, booster.num_feature(), missing=True)

    def raw(matrix: Any) -> Any:
        return booster.predict(matrix, raw_score=True, num_threads=1).reshape(-1, width)

    chosen = ways.Ways(raw, known)
    return lambda matrix: finish(chosen.run(matrix)), chosen.told


def _finish(objective: str) -> Optional[Callable[[Any], Any]]:
    """From sums (rows x columns) to answers."""
    if objective in PLAIN:
        return lambda sums: sums[:, 0]
    if objective.startswith("multiclass "):
        return _shares
    binary = BINARY.match(objective)
    if binary is None:
        return None
    steep = float(binary.group(1))
    return lambda sums: 1.0 / (1.0 + numpy.exp(-steep * sums[:, 0]))


def _shares(sums: Any) -> Any:
    found = numpy.exp(sums - sums.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def _tree(root: Dict[str, Any]) -> Optional[trees.Tree]:
    """None for a tree with a test that is no comparison of numbers."""
    nodes: List[Dict[str, Any]] = [root]
    left, right = [], []
    for node in nodes:  # those that are found on the way as well
        if "split_feature" not in node:
            left.append(trees.LEAF)
            right.append(trees.LEAF)
            continue
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero" or "leaf_coeff" in node:
            return None
        left.append(len(nodes))
        right.append(len(nodes) + 1)
        nodes += (node["left_child"], node["right_child"])
    if any("leaf_coeff" in node for node in nodes):
        return None
    return trees.Tree(
        numpy.array(left), numpy.array(right), numpy.array([node.get("split_feature", 0) for node in nodes]),
        numpy.array([_threshold(node) for node in nodes]), numpy.array([_missing(n) for n in nodes]),
        numpy.array([[float(node.get("leaf_value", 0.0))] for node in nodes]),
    )  # fmt: skip


def _threshold(node: Dict[str, Any]) -> float:
    """LightGBM writes 1e300 for infinity, where all that is not missing goes left."""
    found = float(node.get("threshold", 0.0))
    return float("inf") if found >= 1e300 else found


def _missing(node: Dict[str, Any]) -> bool:
    """Whether NaN goes left: where it is no missing value, LightGBM takes it for 0."""
    if "split_feature" not in node:
        return False
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else float(node["threshold"]) >= 0.0
