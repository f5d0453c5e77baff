"""Models that are graphs of ONNX, or become one: a session of ONNX Runtime answers in the place of MLflow's wrapper.

What goes in and what comes out is the wrapper's own, without a frame: tensors as the signature has them, or columns,
which for a graph of one input are the columns of a matrix.
"""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

import numpy

from .. import frames
from .steps import NotPlanned, OutOfPlan

Feed = Callable[[Any], Dict[str, Any]]
Answer = Callable[[List[str], List[Any]], Any]


class Graph:
    """``run(value)``: the answer for a tensor, tensors by name, or columns, as MLflow's wrapper shapes it."""

    trees = None

    def __init__(self, session: Any, feed: Feed, answer: Answer) -> None:
        self._session, self._feed, self._answer = session, feed, answer
        self._names = [each.name for each in session.get_outputs()]

    def run(self, value: Any) -> Any:
        return self._answer(self._names, self._session.run(self._names, self._feed(value)))


def feed(session: Any, specs: Sequence[Dict[str, Any]]) -> Feed:
    """From what a request holds to the inputs of the graph. Raises NotPlanned."""
    inputs = session.get_inputs()
    narrow = {each.name for each in inputs if each.type == "tensor(float)"}
    made = _tensors(inputs, specs) if frames.is_tensor(specs) else _columns(inputs, specs)

    def fed(value: Any) -> Dict[str, Any]:
        found = made(value)
        for name in narrow:
            if found[name].dtype == numpy.float64:  # as MLflow does
                found[name] = found[name].astype(numpy.float32)
        return found

    return fed


def _tensors(inputs: Sequence[Any], specs: Sequence[Dict[str, Any]]) -> Feed:
    if len(specs) == 1 and specs[0].get("name") is None:
        if len(inputs) != 1:
            raise NotPlanned("a graph of %d inputs that is given one tensor" % len(inputs))
        return lambda value: {inputs[0].name: frames.tensors(value, specs)}
    if {each.name for each in inputs} != {spec.get("name") for spec in specs}:
        raise NotPlanned("a graph whose inputs have other names than the signature")
    return lambda value: frames.tensors(value, specs)


def _columns(inputs: Sequence[Any], specs: Sequence[Dict[str, Any]]) -> Feed:
    names = [spec.get("name", place) for place, spec in enumerate(specs)]
    types = [_type(spec["type"]) for spec in specs]
    if len(inputs) == 1:
        whole = numpy.result_type(*types) if len(set(types)) > 1 else types[0]
        if (len(set(types)) > 1 and whole.kind not in "fiu") or (bool in types and len(set(types)) > 1):
            raise NotPlanned("columns of texts or truths beside others, for a graph of one input")
        return lambda value: {inputs[0].name: numpy.array([_there(each) for each in value], dtype=whole).T}
    places = {name: (place, kind) for place, (name, kind) in enumerate(zip(names, types))}
    if not all(each.name in places for each in inputs):
        raise NotPlanned("a graph whose inputs are not the columns of the signature")

    def fed(value: Any) -> Dict[str, Any]:
        chosen = {each.name: places[each.name] for each in inputs}
        return {name: numpy.array(_there(value[place]), dtype=kind) for name, (place, kind) in chosen.items()}

    return fed


def _type(kind: str) -> Any:
    if kind == "string":
        return numpy.dtype(object)
    if kind == "boolean":
        return numpy.dtype(bool)
    if kind in frames.NUMERIC:
        return numpy.dtype(frames.NUMERIC[kind])
    raise NotPlanned("a column of type %s, for a graph" % kind)


def _there(column: Any) -> Any:
    if column is None or None in column:
        raise OutOfPlan("a value is missing")
    return column


def by_name(names: List[str], outputs: List[Any]) -> Any:
    """As MLflow's wrapper of ONNX answers for tensors."""
    return dict(zip(names, outputs))


def records(names: List[str], outputs: List[Any]) -> Any:
    """As it answers for a frame: each output is a column, whatever its shape."""
    columns = [numpy.asarray(each).reshape(-1) for each in outputs]
    if len({len(each) for each in columns}) > 1:
        raise OutOfPlan("outputs of different lengths")
    return rowwise(names, columns)


def rowwise(names: Sequence[str], columns: Sequence[Any]) -> List[Dict[str, Any]]:
    return [dict(zip(names, row)) for row in zip(*(each.tolist() for each in columns))]
