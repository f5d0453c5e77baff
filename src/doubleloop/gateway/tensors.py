"""Tensor signatures: nested lists of one shape and one kind of number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import failures, payloads, signatures
from doubleloop.gateway import limits as limit

INTEGERS = {f"{sign}int{bits}": (0 if sign else -(2 ** (bits - 1)), 2**bits - 1 if sign else 2 ** (bits - 1) - 1)
            for sign in ("", "u") for bits in (8, 16, 32, 64)}  # fmt: skip
FLOATS = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": float("inf")}


class TensorChecker:
    """Each tensor has a dtype and a shape in which -1 stands for any length; the first axis counts the rows."""

    layout = "tensor"

    def __init__(self, specs: Sequence[dict[str, Any]], params: signatures.Params) -> None:
        self._specs = [_Spec(spec) for spec in specs]
        self._params = params

    def check(self, payload: payloads.Payload) -> signatures.Checked:
        if len(self._specs) == 1:
            spec = self._specs[0]
            data = self._single(payload, spec)
            spec.check(data)
            value: Any = data if spec.name is None else {spec.name: data}
            rows = len(data)
        else:
            value = self._several(payload)
            rows = len(next(iter(value.values())))
            for name, tensor in value.items():
                if len(tensor) != rows:
                    raise failures.shape(f"tensor '{name}' has {len(tensor)} rows, the first has {rows}", tensor=name)
        header = self._params.header({"rows": rows}, payload)
        return signatures.Checked(rows, header, value, payload.azure)

    def straight(self, body: bytes, limits: limit.Limits) -> signatures.Checked | None:
        return None

    def _single(self, payload: payloads.Payload, spec: _Spec) -> list[Any]:
        if payload.form is payloads.Form.COLUMNS and spec.name is not None and list(payload.data) == [spec.name]:
            return _listed(payload.data[spec.name], spec.name)
        if payload.form not in (payloads.Form.ROWS, payloads.Form.VALUES):
            raise failures.shape(
                "the model takes a tensor, not named columns", cure=f"send rows without names: {spec.describe()}"
            )
        counting = [list(range(len(payload.names or ()))), [str(n) for n in range(len(payload.names or ()))]]
        if payload.names is not None and payload.names not in counting:
            raise failures.shape(
                "the request names its columns, but the model takes a tensor, so their order cannot be checked",
                cure="send rows without names, in the order of the training data",
            )
        if payload.names is not None and len(payload.names) != len(payload.data[0]):
            raise failures.shape(
                f"row 0 has {len(payload.data[0])} values for {len(payload.names)} column names", row=0
            )
        return list(payload.data)

    def _several(self, payload: payloads.Payload) -> dict[str, list[Any]]:
        names = [str(spec.name) for spec in self._specs]
        if payload.form is not payloads.Form.COLUMNS:
            raise failures.shape(f"the model takes the tensors {', '.join(names)}", cure="send an object of tensors")
        unknown = [name for name in payload.data if name not in names]
        missing = [name for name in names if name not in payload.data]
        if unknown or missing:
            what = f"unknown tensor '{unknown[0]}'" if unknown else f"missing tensor '{missing[0]}'"
            raise failures.shape(what, cure=f"the model takes the tensors {', '.join(names)}")
        for spec, name in zip(self._specs, names, strict=True):
            spec.check(_listed(payload.data[name], name))
        return {name: payload.data[name] for name in names}


class _Spec:
    def __init__(self, spec: dict[str, Any]) -> None:
        inner = spec.get("tensor-spec") or {}
        self.name: str | None = spec.get("name")
        self.dtype = str(inner.get("dtype"))
        self.shape = [int(length) for length in inner.get("shape") or []]
        known = self.dtype in INTEGERS or self.dtype in FLOATS or self.dtype in ("bool", "str", "object")
        if not self.shape or not (known or self.dtype.startswith("<U")):
            raise errors.InvalidInput(f"the signature has a tensor {inner} that cannot be checked")

    def describe(self) -> str:
        return f"shape {tuple(self.shape)} of {self.dtype}"

    def check(self, data: list[Any]) -> None:
        """Raises errors.InvalidInput naming the path of the first value that is wrong."""
        level: list[Any] = [data]
        for axis, length in enumerate(self.shape):
            lengths = set(map(len, level))
            if len(lengths) != 1 or length not in (-1, next(iter(lengths))):
                self._wrong_length(data, axis, length)
            level = list(chain.from_iterable(level))
            last = axis == len(self.shape) - 1
            if not last and set(map(type, level)) != {list}:
                self._search(data, axis + 1, lambda value: type(value) is list, "a list")
        self._check_values(data, level)

    def _check_values(self, data: list[Any], leaves: list[Any]) -> None:
        kinds, axis = set(map(type, leaves)), len(self.shape)
        if self.dtype in FLOATS:
            most = FLOATS[self.dtype]
            if not kinds <= {int, float} or (most != float("inf") and max(map(abs, leaves)) > most):
                self._search(data, axis, lambda v: type(v) in (int, float) and abs(v) <= most, self.dtype)
        elif self.dtype in INTEGERS:
            low, high = INTEGERS[self.dtype]
            if kinds != {int} or min(leaves) < low or max(leaves) > high:
                self._search(data, axis, lambda v: type(v) is int and low <= v <= high, self.dtype)
        elif self.dtype == "bool":
            if kinds != {bool}:
                self._search(data, axis, lambda v: type(v) is bool, "bool")
        elif kinds != {str}:
            self._search(data, axis, lambda v: type(v) is str, "string")

    def _wrong_length(self, data: list[Any], axis: int, length: int) -> None:
        path, value = next(
            (path, value) for path, value in _walk(data, axis)
            if len(value) != (length if length != -1 else len(_first(data, axis)))
        )  # fmt: skip
        expected = length if length != -1 else len(_first(data, axis))
        place = f"row {path[0]}" + "".join(f"[{step}]" for step in path[1:]) if path else "the tensor"
        raise failures.shape(
            f"{place} has {len(value)} values, expected {expected}", cure=f"the model takes {self.describe()}",
            row=path[0] if path else 0, expected=expected, got=len(value),
        )  # fmt: skip

    def _search(self, data: list[Any], depth: int, fits: Any, expected: str) -> None:
        for path, value in _walk(data, depth):
            if not fits(value):
                column = ".".join(str(step) for step in path[1:]) or "0"
                raise failures.cell(path[0], column, expected, failures.describe(value))


def _walk(value: Any, depth: int, path: tuple[int, ...] = ()) -> Any:
    if depth == 0:
        yield path, value
        return
    for position, item in enumerate(value):
        yield from _walk(item, depth - 1, (*path, position))


def _first(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = value[0]
    return value


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise failures.shape(f"tensor '{name}' is {failures.describe(value)}, not a list of rows", tensor=name)
    return value
