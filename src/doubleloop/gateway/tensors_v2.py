"""Bodies of the Open Inference Protocol (KServe v2) and ours, each from the other: pure.

A request is a list of named tensors, as JSON or, with the binary tensor data extension, as bytes behind it. Tensors
of one axis (or of ``[n, 1]``) are columns; one tensor of more axes is the rows. See
https://github.com/kserve/open-inference-protocol, ``inference_rest.md`` and its extension ``binary tensor data``.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from doubleloop.base import errors
from doubleloop.gateway import failures, payloads
from doubleloop.gateway import limits as limit

# Datatype to the letter of ``struct``; BYTES has a form of its own.
CODES = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
OF_COLUMN = {
    "double": "FP64", "float": "FP32", "long": "INT64", "integer": "INT32", "boolean": "BOOL", "string": "BYTES",
    "datetime": "BYTES", "binary": "BYTES",
}  # fmt: skip
OF_NUMPY = {
    "float64": "FP64", "float32": "FP32", "float16": "FP16", "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip

_FORM = 'send {"inputs": [{"name", "shape", "datatype", "data"}]}'


@dataclass(frozen=True)
class Asked:
    """``value`` goes under ``input_data``. ``binary``: names of outputs wanted as bytes; ``all_binary`` for every one.
    ``outputs``: names wanted, empty for all. ``parameters``: of the request, the protocol's own among them."""

    value: Any
    id: str | None = None
    outputs: tuple[str, ...] = ()
    binary: frozenset[str] = field(default_factory=frozenset)
    all_binary: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read(
    body: bytes, header_length: str | None, tensors: bool, limits: limit.Limits, binary: Collection[str] = ()
) -> Asked:
    """``header_length``: the header ``Inference-Header-Content-Length``. ``tensors``: the model takes tensors, not
    columns. ``binary``: its columns of bytes, which BYTES behind the JSON are as they are; in JSON they are base64.
    Raises errors.InvalidInput naming the tensor."""
    text, rest = body, b""
    if header_length is not None:
        if not header_length.isdigit() or int(header_length) > len(body):
            raise failures.shape("Inference-Header-Content-Length is not a length within the body")
        text, rest = body[: int(header_length)], body[int(header_length) :]
    value = payloads.decode(text, limits, _FORM)
    inputs = value.get("inputs") if isinstance(value, dict) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise failures.shape("'inputs' must be a list of tensors", cure=_FORM)
    found: dict[str, tuple[list[int], list[Any]]] = {}
    for each in inputs:
        name, shape, data, rest = _tensor(each, rest, binary)
        if name in found:
            raise failures.shape(f"the tensor '{name}' is given twice")
        found[name] = (shape, data)
    if rest:
        raise failures.shape(f"{len(rest)} bytes at the end of the body belong to no tensor")
    parameters = value.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise failures.shape(f"'parameters' is {failures.describe(parameters)}, not an object")
    return Asked(_value(found, tensors), _text(value.get("id")), *_wanted(value), parameters)


def _wanted(value: dict[str, Any]) -> tuple[tuple[str, ...], frozenset[str], bool]:
    outputs = value.get("outputs") or []
    if not isinstance(outputs, list) or not all(isinstance(each, dict) and each.get("name") for each in outputs):
        raise failures.shape("'outputs' must be a list of objects with a name")
    names = tuple(str(each["name"]) for each in outputs)
    binary = frozenset(str(each["name"]) for each in outputs if _parameter(each, "binary_data"))
    return names, binary, bool(_parameter(value, "binary_data_output"))


def _parameter(value: Mapping[str, Any], name: str) -> Any:
    parameters = value.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _tensor(
    given: dict[str, Any], rest: bytes, binary: Collection[str]
) -> tuple[str, list[int], list[Any], bytes]:  # fmt: skip
    name, shape, kind = given.get("name"), given.get("shape"), given.get("datatype")
    if not isinstance(name, str) or not name:
        raise failures.shape("a tensor has no name")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise failures.shape(f"tensor '{name}': 'shape' must be a list of whole numbers", tensor=name)
    if not isinstance(kind, str) or (kind not in CODES and kind != "BYTES"):
        known = ", ".join([*CODES, "BYTES"])
        raise failures.shape(
            f"tensor '{name}': datatype {failures.describe(kind)} is not known", cure=f"one of {known}"
        )
    count = math.prod(shape)
    size = _parameter(given, "binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(rest) or "data" in given:
            raise failures.shape(f"tensor '{name}': binary_data_size does not fit the body", tensor=name)
        raw = rest[:size]
        if kind == "BYTES" and name in binary:
            texts = [base64.b64encode(each).decode("ascii") for each in _items(name, count, raw)]
            return name, shape, texts, rest[size:]
        return name, shape, _unpacked(name, str(kind), count, raw), rest[size:]
    data = _flat(given.get("data"))
    if len(data) != count:
        raise failures.shape(f"tensor '{name}': {len(data)} values for the shape {shape}", tensor=name)
    return name, shape, data, rest


def _flat(data: Any) -> list[Any]:
    """The values of nested lists in their order; the nesting itself is not looked at, as the protocol has it."""
    if not isinstance(data, list):
        raise failures.shape("a tensor has no 'data'")
    while data and any(type(each) is list for each in data):
        data = [value for each in data for value in (each if type(each) is list else [each])]
    return data


def _unpacked(name: str, kind: str, count: int, raw: bytes) -> list[Any]:
    if kind == "BYTES":
        return _texts(name, count, raw)
    try:
        found = list(struct.unpack(f"<{count}{CODES[kind]}", raw))
    except struct.error:
        raise failures.shape(f"tensor '{name}': {len(raw)} bytes are not {count} values of {kind}") from None
    if kind.startswith("FP") and any(map(math.isinf, found)):  # it would become null: a missing value
        raise failures.shape(f"tensor '{name}': a value is infinite", tensor=name)
    return found


def _items(name: str, count: int, raw: bytes) -> list[bytes]:
    found: list[bytes] = []
    place = 0
    while place + 4 <= len(raw) and len(found) < count:
        length = int.from_bytes(raw[place : place + 4], "little")
        found.append(raw[place + 4 : place + 4 + length])
        place += 4 + length
    if len(found) != count or place != len(raw):
        raise failures.shape(f"tensor '{name}': the bytes are not {count} values of BYTES")
    return found


def _texts(name: str, count: int, raw: bytes) -> list[str]:
    try:
        return [each.decode() for each in _items(name, count, raw)]
    except UnicodeDecodeError:
        raise failures.shape(f"tensor '{name}': BYTES must hold UTF-8") from None


def _value(found: dict[str, tuple[list[int], list[Any]]], tensors: bool) -> Any:
    if len(found) == 1:
        shape, data = next(iter(found.values()))
        if tensors or (len(shape) > 1 and math.prod(shape[1:]) != 1):
            return _nested(data, shape)
    if tensors:
        return {name: _nested(data, shape) for name, (shape, data) in found.items()}
    for name, (shape, _) in found.items():
        if math.prod(shape[1:]) != 1:
            raise failures.shape(f"tensor '{name}': a column has the shape [n] or [n, 1], not {shape}", tensor=name)
    return {name: data for name, (_, data) in found.items()}


def _nested(data: list[Any], shape: Sequence[int]) -> Any:
    for size in reversed(shape[1:]):
        data = [data[start : start + size] for start in range(0, len(data), size)] if size else [[]] * len(data)
    return data


# -- answers ----------------------------------------------------------------------------------------------------------


def answer(
    body: bytes, asked: Asked, specs: Sequence[dict[str, Any]], model: str, version: str
) -> tuple[bytes, int | None]:
    """Our answer's body as theirs, and the length of its JSON when bytes follow it. ``specs``: the signature's outputs,
    whose datatypes they have where the values fit. Raises errors.Failed for an answer that has no form as tensors."""
    tensors = _columns(orjson.loads(body), [str(spec["name"]) for spec in specs if spec.get("name") is not None])
    declared = {each["name"]: each["datatype"] for each in describe(specs)}
    if asked.outputs:
        unknown = [name for name in asked.outputs if name not in tensors]
        if unknown:
            raise failures.shape(f"the model has no output '{unknown[0]}'", cure=f"It has: {', '.join(tensors)}.")
        tensors = {name: tensors[name] for name in asked.outputs}
    outputs, raw = [], []
    for name, (shape, data) in tensors.items():
        kind = _declared(declared.get(name), _kind(name, data), data)
        tensor: dict[str, Any] = {"name": name, "datatype": kind, "shape": shape}
        if asked.all_binary or name in asked.binary:
            raw.append(_packed(kind, data))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = data
        outputs.append(tensor)
    head = orjson.dumps({
        "model_name": model, "model_version": version, "outputs": outputs, **({"id": asked.id} if asked.id else {}),
    })  # fmt: skip
    return head + b"".join(raw), len(head) if raw else None


def _columns(value: Any, names: list[str]) -> dict[str, tuple[list[int], list[Any]]]:
    if isinstance(value, dict):
        parts = {str(key): each for key, each in value.items()}
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        parts = {str(key): [each.get(key) for each in value] for key in value[0]}
    else:
        parts = {names[0] if len(names) == 1 else "predictions": value}
    return {name: _shaped(name, each) for name, each in parts.items()}


def _shaped(name: str, value: Any) -> tuple[list[int], list[Any]]:
    if not isinstance(value, list):
        return [1], [value]
    shape, level = [len(value)], value
    while level and all(isinstance(each, list) for each in level):
        sizes = {len(each) for each in level}
        if len(sizes) != 1:
            raise errors.Failed(f"the output '{name}' has rows of different lengths, so it is no tensor")
        shape.append(sizes.pop())
        level = [each for row in level for each in row]
    if any(isinstance(each, list | dict) for each in level):
        raise errors.Failed(f"the output '{name}' has values of different shapes, so it is no tensor")
    return shape, level


def _kind(name: str, data: list[Any]) -> str:
    kinds = {type(each) for each in data if each is not None}
    if kinds <= {bool} and kinds:
        return "BOOL"
    if kinds <= {int} and None not in data:
        if not data or max(data) < 2**63:
            return "INT64"
        return "UINT64" if min(data) >= 0 else "FP64"
    if kinds <= {int, float}:
        return "FP64"
    if kinds == {str}:
        return "BYTES"
    raise errors.Failed(f"the output '{name}' holds values of several types, so it is no tensor")


def _declared(wanted: str | None, found: str, data: list[Any]) -> str:
    """The datatype that the model's metadata say, where each value has a place in it; else the one ``found``."""
    if wanted is None or wanted == found:
        return found
    numbers = found in ("INT64", "FP64") and wanted not in ("BOOL", "BYTES")
    if not numbers or (found == "FP64" and not wanted.startswith("FP")):
        return found
    values = [each for each in data if each is not None]
    if not values:
        return wanted
    try:
        struct.pack(f"<2{CODES[wanted]}", min(values), max(values))
    except (struct.error, OverflowError):
        return found
    return wanted


def _packed(kind: str, data: list[Any]) -> bytes:
    if kind == "BYTES":
        texts = [("" if each is None else each).encode() for each in data]
        return b"".join(len(each).to_bytes(4, "little") + each for each in texts)
    missing = math.nan if kind.startswith("FP") else 0
    values = [missing if each is None else each for each in data]
    return struct.pack(f"<{len(values)}{CODES[kind]}", *values)


def describe(specs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tensors of a signature's part, as the protocol's metadata lists them; -1 is any length."""
    found = []
    for index, spec in enumerate(specs):
        name = str(spec.get("name", index if len(specs) > 1 else "predictions"))
        if spec.get("type") == "tensor":
            inner = spec["tensor-spec"]
            kind = OF_NUMPY.get(str(inner["dtype"]), "BYTES")
            found.append({"name": name, "datatype": kind, "shape": list(inner["shape"])})
        else:
            found.append({"name": name, "datatype": OF_COLUMN.get(str(spec.get("type")), "BYTES"), "shape": [-1]})
    return found
