"""Trees as an ONNX model: one ``TreeEnsemble`` node (ai.onnx.ml, opset 5), whose thresholds and sums may be float64.

Written as the protobuf that onnx.proto (IR 10) lays down, which takes a page; the package ``onnx`` would be one more in
everybody's environment.
"""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, List, Tuple, Union

import numpy

from .trees import LEAF, Tree, Trees, fitting

INPUT, OUTPUT = "X", "Y"
IR_VERSION, OPSET, ML_OPSET = 10, 21, 5
TYPES = {"float32": 1, "uint8": 2, "float64": 11}
SUM = 1
# AttributeProto.AttributeType
INT, TENSOR, INTS = 2, 4, 7


def model(trees: Trees) -> bytes:
    """A graph from ``X`` (rows x features) to ``Y`` (rows x columns), both of the type that is added up in."""
    attributes = b"".join(_field(5, _attribute(name, value)) for name, value in _attributes(trees))
    node = _text(1, INPUT) + _text(2, OUTPUT) + _text(4, "TreeEnsemble") + attributes + _text(7, "ai.onnx.ml")
    kind = TYPES[trees.sums.name]
    graph = _field(1, node) + _text(2, "trees") + _field(11, _value(INPUT, kind, "rows", "features"))
    graph += _field(12, _value(OUTPUT, kind, "rows", "columns"))
    opsets = _field(8, _text(1, "") + _number(2, OPSET)) + _field(8, _text(1, "ai.onnx.ml") + _number(2, ML_OPSET))
    return _number(1, IR_VERSION) + _text(2, "doubleloop") + _field(7, graph) + opsets


def _attributes(trees: Trees) -> List[Tuple[str, Any]]:
    """Inner nodes of all trees in one row, and leaves in another, one for each column that a leaf adds to."""
    made = [_constant(value, column) for column, value in enumerate(trees.first)]
    for tree, column in zip(trees.trees, trees.columns):
        several = tree.values.shape[1]
        made += [_laid_out(tree, trees.dtype, column + each, each) for each in range(several)]
    roots = numpy.cumsum([0, *(len(each[0]) for each in made)])[:-1]
    leaves = numpy.cumsum([0, *(len(each[-1]) for each in made)])[:-1]
    feature, split, missing, yes, yes_leaf, no, no_leaf = (
        numpy.concatenate([each[part] for each in made]) for part in range(7)
    )
    sizes = [len(each[0]) for each in made]
    node_at, leaf_at = numpy.repeat(roots, sizes), numpy.repeat(leaves, sizes)
    return [
        ("n_targets", trees.width), ("aggregate_function", SUM), ("post_transform", 0), ("tree_roots", roots),
        ("nodes_featureids", feature), ("nodes_modes", numpy.zeros(len(feature), numpy.uint8)),
        ("nodes_splits", split.astype(trees.sums)),
        ("nodes_missing_value_tracks_true", missing),
        ("nodes_truenodeids", yes + numpy.where(yes_leaf, leaf_at, node_at)), ("nodes_trueleafs", yes_leaf),
        ("nodes_falsenodeids", no + numpy.where(no_leaf, leaf_at, node_at)), ("nodes_falseleafs", no_leaf),
        ("leaf_targetids", numpy.concatenate([each[7] for each in made])),
        ("leaf_weights", numpy.concatenate([each[8] for each in made]).astype(trees.sums)),
    ]  # fmt: skip


def _constant(value: float, column: int) -> Tuple[Any, ...]:
    """What every row starts with: a node whose both ways lead to one leaf."""
    zero, one = numpy.zeros(1, dtype=numpy.int64), numpy.ones(1, dtype=numpy.int64)
    return zero, numpy.zeros(1), zero, zero, one, zero, one, numpy.array([column]), numpy.array([float(value)])


def _laid_out(tree: Tree, dtype: Any, column: int, value: int) -> Tuple[Any, ...]:
    """Feature, split, missing to true, true child, whether that is a leaf, false child, whether that is a leaf, of its
    inner nodes; column and weight of its leaves."""
    inner = tree.inner()
    if not len(inner):
        return _constant(tree.values[0, value], column)
    leaf = tree.left == LEAF
    place = numpy.where(leaf, numpy.cumsum(leaf), numpy.cumsum(~leaf)) - 1
    left, right = tree.left[inner], tree.right[inner]
    weights = tree.values[leaf, value]
    return (
        tree.feature[inner], fitting(tree.threshold[inner], dtype).astype(numpy.float64), tree.missing_left[inner],
        place[left], leaf[left], place[right], leaf[right], numpy.full(len(weights), column), weights,
    )  # fmt: skip


def _attribute(name: str, value: Any) -> bytes:
    start = _text(1, name)
    if isinstance(value, int):
        return start + _number(3, value) + _number(20, INT)
    if value.dtype.name in TYPES:
        return start + _field(5, _tensor(value)) + _number(20, TENSOR)
    return start + _field(8, _varints(value)) + _number(20, INTS)


def _tensor(values: Any) -> bytes:
    little = values.astype(values.dtype.newbyteorder("<"))
    return _number(1, len(values)) + _number(2, TYPES[values.dtype.name]) + _field(9, little.tobytes())


def _value(name: str, kind: int, *axes: str) -> bytes:
    shape = b"".join(_field(1, _text(2, axis)) for axis in axes)
    tensor = _number(1, kind) + _field(2, shape)
    return _text(1, name) + _field(2, _field(1, tensor))


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode("utf-8"))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: Union[int, Any]) -> bytes:
    return _varints(numpy.array([value]))


def _varints(values: Any) -> bytes:
    """Numbers from 0 on, seven bits a byte, the lowest first; all but the last byte of a number have the eighth set."""
    wide = numpy.asarray(values).astype(numpy.uint64)
    shifts = numpy.arange(0, 63, 7, dtype=numpy.uint64)
    parts = wide[:, None] >> shifts
    there = parts > 0
    there[:, 0] = True
    more = numpy.zeros_like(there)
    more[:, :-1] = there[:, 1:]
    return (
        ((parts & numpy.uint64(127)) | (more.astype(numpy.uint64) << numpy.uint64(7)))[there]
        .astype(numpy.uint8)
        .tobytes()
    )
