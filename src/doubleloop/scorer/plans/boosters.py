"""Trees of LightGBM's and XGBoost's, by the quickest of ``ways``: the library itself is one of them."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

import numpy

from . import ensembles, finishes, trees
from .steps import Step

# Objectives whose answers are the sums themselves.
PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
BINARY = re.compile(r"^binary sigmoid:([0-9.eE+-]+)$")


def lightgbm(booster: Any) -> Optional[ensembles.Answers]:
    """``ensembles.Answers`` of what ``Booster.predict`` answers; None where the library has the only way: of
    categories, linear trees, zeros as missing values, other objectives, averages."""
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

    return ensembles.summed(raw, known, finish)


def _finish(objective: str) -> Optional[Step]:
    if objective in PLAIN:
        return finishes.Flat()
    if objective.startswith("multiclass "):
        return finishes.Softmax()
    binary = BINARY.match(objective)
    return None if binary is None else finishes.Sigmoid(float(binary.group(1)))


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


def xgboost(model: Any) -> Optional[ensembles.Answers]:
    """The same for the margins of an ``XGBRegressor`` or a classifier of two classes: sums of 32 bits (one a row)."""
    booster, missing = model.get_booster(), getattr(model, "missing", None)
    if not isinstance(missing, float) or missing == missing:  # another value than NaN stands for what is missing
        return None
    learner = json.loads(bytes(booster.save_raw("json")).decode("utf-8"))["learner"]
    boosting, told = learner["gradient_booster"], learner["learner_model_param"]
    if boosting.get("name") != "gbtree" or learner["objective"]["name"] not in ("reg:squarederror", "binary:logistic"):
        return None
    base = float(told["base_score"].strip("[]"))
    if learner["objective"]["name"] == "binary:logistic":
        base = float(-numpy.log(numpy.float32(1.0) / numpy.float32(base) - numpy.float32(1.0)))
    grown = boosting["model"]["trees"]
    if booster.attr("best_iteration") is not None:  # it stopped early: its best trees alone answer
        return None
    if any(any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in grown):
        return None
    known = trees.Trees(
        [_of_xgboost(tree) for tree in grown], [0] * len(grown), [base], numpy.float32,
        int(told["num_feature"]), missing=True, sums=numpy.float32,
    )  # fmt: skip

    def margins(matrix: Any) -> Any:
        return booster.inplace_predict(matrix, predict_type="margin").reshape(-1, 1)

    return ensembles.summed(margins, known, finishes.Flat())


def _of_xgboost(tree: Dict[str, Any]) -> trees.Tree:
    """Its tests are x < condition, in 32 bits: x <= the number before it."""
    left = numpy.array(tree["left_children"])
    conditions = numpy.array(tree["split_conditions"], dtype=numpy.float32)
    return trees.Tree(
        left, numpy.array(tree["right_children"]), numpy.array(tree["split_indices"]),
        numpy.nextafter(conditions, numpy.float32(-numpy.inf)), numpy.array(tree["default_left"], dtype=bool),
        conditions.reshape(-1, 1),
    )  # fmt: skip
