"""How many raw bytes follow a joblib array wrapper: read from the pickled shape and dtype, and believed only when
every part of it is consistent. A length that numpy would see differently would be a place to hide opcodes in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from doubleloop.quarantine.reading import Malformed
from doubleloop.quarantine.values import Global, Instance, Items

DTYPE = Global("numpy", "dtype")
_CODE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGOpP]|[biufcmMSUVO]\d{1,9}|[mM])", re.ASCII)
_HAS_OBJECT = 0x01  # NPY_ITEM_REFCOUNT in a dtype's flags
_FLEXIBLE = "SUV"


@dataclass(frozen=True)
class Layout:
    size: int
    padded: bool
    holds_objects: bool


@dataclass(frozen=True)
class Item:
    size: int
    holds_objects: bool


def layout(wrapper: Instance) -> Layout:
    """What stands behind the wrapper. Raises Malformed when that cannot be told for certain."""
    shape, dtype = wrapper.get("shape"), wrapper.get("dtype")
    if not isinstance(shape, tuple) or not all(isinstance(length, int) and length >= 0 for length in shape):
        raise Malformed("it holds an array whose shape cannot be told")
    count = math.prod(shape)
    item = _item(dtype)
    if count * max(item.size, 1) >= 2**62:
        raise Malformed("it holds an array larger than any machine")
    padded = wrapper.get("numpy_array_alignment_bytes")
    if not (padded is None or isinstance(padded, int)):
        raise Malformed("it holds an array whose padding cannot be told")
    return Layout(count * item.size, padded is not None, item.holds_objects)


def _item(dtype: Any) -> Item:
    if not isinstance(dtype, Instance) or dtype.of != DTYPE or not isinstance(dtype.arguments, tuple):
        raise _unknown()
    code = dtype.arguments[0] if dtype.arguments else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise _unknown()
    try:
        plain = np.dtype(code)
    except TypeError as problem:
        raise _unknown() from problem
    state = dtype.built
    if state is None:
        return Item(plain.itemsize, plain.hasobject)
    if not isinstance(state, tuple) or not 8 <= len(state) <= 9:
        raise _unknown()
    return _with_state(plain, state)


def _with_state(plain: np.dtype[Any], state: tuple[Any, ...]) -> Item:
    """numpy's ``dtype.__setstate__``: version, order, subarray, names, fields, size, alignment, flags."""
    subarray, names, fields, size, flags = state[2], state[3], state[4], state[5], state[7]
    if subarray is not None and plain.kind == "V":
        return _subarray(subarray, size, flags)
    if not isinstance(size, int) or not isinstance(flags, int) or subarray is not None:
        raise _unknown()
    if plain.kind not in _FLEXIBLE:
        if size not in (-1, plain.itemsize) or names is not None or fields is not None:
            raise _unknown()
        return Item(plain.itemsize, plain.hasobject)
    if size != plain.itemsize:
        raise _unknown()
    holds = _fields_hold_objects(names, fields, size) if names is not None or fields is not None else False
    if holds != bool(flags & _HAS_OBJECT):
        raise _unknown()
    return Item(size, holds)


def _subarray(subarray: Any, size: Any, flags: Any) -> Item:
    if not isinstance(subarray, tuple) or len(subarray) != 2 or not isinstance(size, int):
        raise _unknown()
    base, shape = _item(subarray[0]), subarray[1]
    lengths = shape if isinstance(shape, tuple) else (shape,)
    if not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise _unknown()
    if math.prod(lengths) * base.size != size or base.holds_objects != bool(flags & _HAS_OBJECT):
        raise _unknown()
    return Item(size, base.holds_objects)


def _fields_hold_objects(names: Any, fields: Any, size: int) -> bool:
    if not isinstance(names, tuple) or not isinstance(fields, Items):
        raise _unknown()
    holds = False
    for name in names:
        entry = fields.held.get(name) if isinstance(name, str) else None
        if not isinstance(entry, tuple) or len(entry) < 2 or not isinstance(entry[1], int):
            raise _unknown()
        item = _item(entry[0])
        if entry[1] < 0 or entry[1] + item.size > size:
            raise _unknown()
        holds = holds or item.holds_objects
    return holds


def _unknown() -> Malformed:
    return Malformed("it holds an array whose type cannot be told")
