"""Tensors that a graph and its model are held against each other with, made from the signature alone."""

# ruff: noqa: B905 - zip has no strict before Python 3.10

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence

import numpy

ROWS = 4
# Tried for axes whose length the signature leaves open, until the model takes one.
OPEN = (8, 16, 32, 64, 224, 1)
WORDS = ("a", "the quick brown fox", "ß 1.5", "")
WHOLE = 4  # small: they may be places in a vocabulary


def is_batch(specs: Sequence[Dict[str, Any]]) -> bool:
    """Whether the first axis of every tensor is open: one entry a row."""
    shapes = [spec["tensor-spec"]["shape"] for spec in specs]
    return all(shape and shape[0] == -1 for shape in shapes)


def tensors(specs: Sequence[Dict[str, Any]], length: int) -> List[Any]:
    """Several inputs, of ROWS rows where the first axis is open."""
    draw = numpy.random.default_rng(17)
    found = []
    for kind in ("normal", "share", "zero"):
        made = [_tensor(draw, spec["tensor-spec"], length, kind) for spec in specs]
        unnamed = len(specs) == 1 and specs[0].get("name") is None
        found.append(made[0] if unnamed else {spec["name"]: each for spec, each in zip(specs, made)})
    return found


def alone(value: Any) -> Iterator[Any]:
    """The rows of it, each by itself."""
    first = next(iter(value.values())) if isinstance(value, dict) else value
    for row in range(len(first)):
        if isinstance(value, dict):
            yield {name: each[row : row + 1] for name, each in value.items()}
        else:
            yield value[row : row + 1]


def _tensor(draw: Any, spec: Dict[str, Any], length: int, kind: str) -> Any:
    shape = [each if each != -1 else (length if place else ROWS) for place, each in enumerate(spec["shape"])]
    dtype = spec["dtype"]
    if dtype in ("str", "object") or dtype.startswith("<U"):
        return draw.choice(numpy.array(WORDS, dtype=object), shape)
    whole = numpy.dtype(dtype)
    if whole.kind == "b":
        return draw.integers(0, 2, shape).astype(bool)
    if kind == "zero":
        return numpy.zeros(shape, dtype=whole)
    if whole.kind in "iu":
        return draw.integers(0, 256 if whole == numpy.uint8 else WHOLE, shape).astype(whole)
    return (draw.normal(0, 1, shape) if kind == "normal" else draw.random(shape)).astype(whole)
