"""A plan as a file of plain values and arrays, for a process that has neither the model nor its libraries.

Only the classes below are made from such a file, and nothing of it is run as code. What a plan asks its library for
cannot be written, and a plan of which that is a part is not portable.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy

from . import columns, encoding, finishes, numbers, runtime, steps, trees, ways
from .steps import NotPlanned

FORMAT = 1
# Nodes of all trees, and bytes of a file: a larger plan would be a burden to the process that reads it.
MOST_NODES = 200_000
MOST_BYTES = 64 << 20

PARTS: Dict[str, Any] = {
    each.__name__: each
    for each in (
        steps.Chain, columns.Matrix, columns.Values, columns.Beside, encoding.Filled, encoding.OneHot, encoding.Ordinal,
        numbers.Imputed, numbers.Scaled, numbers.Same, finishes.Linear, finishes.Flat, finishes.Above, finishes.Largest,
        finishes.Mean, finishes.Sigmoid, finishes.Softmax, finishes.Both, finishes.Named, trees.Tree, trees.Trees,
    )
}  # fmt: skip
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}

Example = Tuple[List[Any], Any]


class Portable(NamedTuple):
    """``chain.run(columns)`` answers; ``examples``: columns, and what the model itself answered for them."""

    chain: Any
    examples: List[Example]


def write(path: str, chain: steps.Chain, examples: List[Example]) -> None:
    """In one piece or not at all. Raises NotPlanned for a plan that is not portable, and OSError."""
    arrays: Dict[str, Any] = {}
    writer = _Writer(arrays)
    told = {"format": FORMAT, "chain": writer.plain(chain)}
    told["examples"] = [[writer.plain(columns), writer.plain(numpy.asarray(answer))] for columns, answer in examples]
    text = json.dumps(told, allow_nan=False)
    arrays["plan"] = numpy.frombuffer(text.encode("utf-8"), dtype=numpy.uint8)
    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, **arrays)
    if buffer.tell() > MOST_BYTES:
        raise NotPlanned("a plan of %d MB" % (buffer.tell() >> 20))
    beside = "%s.%d" % (path, os.getpid())
    with open(beside, "wb") as file:
        file.write(buffer.getvalue())
    os.replace(beside, path)


def read(path: str) -> Portable:
    """Raises NotPlanned for a file that is no plan, or one that cannot be run here."""
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES or sum(each.file_size for each in _members(content)) > 4 * MOST_BYTES:
            raise NotPlanned("it is larger than a plan may be")
        with numpy.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        told = json.loads(found.pop("plan").tobytes().decode("utf-8"))
        if told.get("format") != FORMAT:
            raise NotPlanned("it is of format %r" % told.get("format"))
        reader = _Reader(found)
        examples = [(reader.value(columns), reader.value(answer)) for columns, answer in told["examples"]]
        return Portable(reader.value(told["chain"]), examples)
    except NotPlanned:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
        raise NotPlanned("it cannot be read: %s: %s" % (type(error).__name__, error)) from error


def _members(content: bytes) -> List[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.infolist()


class _Writer:
    def __init__(self, arrays: Dict[str, Any]) -> None:
        self._arrays = arrays

    def plain(self, value: Any) -> Any:
        """As JSON: an object with one key stands for what JSON has not. Raises NotPlanned."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, numpy.generic):
            return self.plain(value.item())
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list):
            return [self.plain(each) for each in value]
        if isinstance(value, tuple):
            return {"tuple": [self.plain(each) for each in value]}
        if isinstance(value, dict):
            return {"dict": [[self.plain(key), self.plain(each)] for key, each in value.items()]}
        if isinstance(value, numpy.dtype):
            return {"dtype": value.str}
        if isinstance(value, numpy.ndarray):
            return self._array(value)
        return self._part(value)

    def _array(self, value: Any) -> Any:
        if value.dtype.kind == "O" and value.ndim == 1:
            return {"objects": self.plain(value.tolist())}
        if value.dtype.kind not in "biufU":
            raise NotPlanned("an array of %s" % value.dtype)
        name = "a%d" % len(self._arrays)
        self._arrays[name] = value
        return {"array": name}

    def _part(self, value: Any) -> Any:
        if isinstance(value, ways.Ways):
            return {"summed": self.plain(value.portable(MOST_NODES))}
        name = type(value).__name__
        if PARTS.get(name) is not type(value):
            raise NotPlanned("%s, which is its library's" % getattr(value, "what", name))
        return {"part": name, "of": {key: self.plain(each) for key, each in vars(value).items()}}


class _Reader:
    def __init__(self, arrays: Dict[str, Any]) -> None:
        self._arrays = arrays
        self._forms: Dict[str, Callable[[Any], Any]] = {
            "float": _FLOATS.__getitem__, "dtype": numpy.dtype, "array": self._arrays.__getitem__,
            "tuple": lambda items: tuple(map(self.value, items)),
            "dict": lambda items: {self.value(key): self.value(each) for key, each in items},
            "objects": self._objects, "summed": lambda told: Summed(self.value(told)),
        }  # fmt: skip

    def value(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self.value(each) for each in told]
        if not isinstance(told, dict):
            return told
        if "part" in told:
            made = object.__new__(PARTS[told["part"]])
            vars(made).update({name: self.value(each) for name, each in told["of"].items()})
            return made
        ((form, content),) = told.items()
        return self._forms[form](content)

    def _objects(self, items: Any) -> Any:
        found = numpy.empty(len(items), dtype=object)
        found[:] = self.value(items)
        return found


class Summed(steps.Step):
    """The sums of trees by ONNX Runtime. Raises NotPlanned where that is not there, or for what are no trees."""

    def __init__(self, known: trees.Trees) -> None:
        _check(known)
        self._session, self._dtype, self._features = runtime.TreeSession(known), known.dtype, known.features()

    def run(self, data: Any) -> Any:
        if data.shape[1] < self._features:
            raise steps.OutOfPlan("%d columns for trees of %d" % (data.shape[1], self._features))
        return self._session.scores(data if data.dtype == self._dtype else data.astype(self._dtype))


def _check(known: trees.Trees) -> None:
    """A walk down each tree must end, and at a leaf of its own."""
    for tree in known.trees:
        inner, count = tree.inner(), len(tree.left)
        for child in (tree.left[inner], tree.right[inner]):
            if not ((child > inner) & (child < count)).all():
                raise NotPlanned("a tree whose nodes are not in order")
        if (tree.feature[inner] < 0).any() or len(tree.values) != count:
            raise NotPlanned("a tree with other features or leaves than it says")
