"""Places inside a document, as tuples of keys (list positions as digits) and as text: ``jobs.prep.inputs.x``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from doubleloop.base import errors

Pointer = tuple[str, ...]

_SPECIAL = re.compile(r"[.\[\\]")
_NOTHING = "\\-"
_TOKEN = re.compile(r"\\[.\[\\-]|\[\d+\]|\.|[^.\[\\]+|[\[\\]")


def join(pointer: Sequence[str]) -> str:
    """``("a", "b.c", "0")`` as ``a.b\\.c.0``: what would mean something inside a key is escaped; an empty key is
    ``\\-``."""
    return ".".join(_SPECIAL.sub(r"\\\g<0>", part) or _NOTHING for part in pointer)


def split(text: str) -> Pointer:
    """The inverse of ``join``; ``a[0].b`` is read as ``a.0.b``. Raises InvalidInput for an empty key."""
    parts: list[list[str]] = [[]] if text else []
    for token in _TOKEN.findall(text):
        if token == ".":
            parts.append([])
        elif token[0] == "[" and len(token) > 1:
            parts.append([token[1:-1]])
        else:
            parts[-1].append("" if token == _NOTHING else token[-1] if token[0] == "\\" else token)
    if not all(parts):
        raise errors.InvalidInput(f"'{text}' is not a path into a file", cure="write it as a.b.c or a[0].b")
    return tuple(map("".join, parts))


def get(data: Any, pointer: Pointer) -> Any:
    """What stands at ``pointer``, or None."""
    for part in pointer:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def put(data: Any, pointer: Pointer, value: Any) -> None:
    """Writes ``value`` at ``pointer`` in place; missing maps are made, a list grows by at most one item.

    Raises InvalidInput when the path runs through a plain value or past the end of a list.
    """
    for position, part in enumerate(pointer[:-1]):
        below = get(data, (part,))
        if below is None:
            below = {}
            _assign(data, part, below, pointer)
        elif not isinstance(below, (dict, list)):
            at = join(pointer[: position + 1])
            raise errors.InvalidInput(
                f"cannot set '{join(pointer)}': '{at}' is not a map or list but {below!r}",
                cure=f"set '{at}' itself, or correct the path",
            )
        data = below
    _assign(data, pointer[-1], value, pointer)


def _assign(data: Any, part: str, value: Any, pointer: Pointer) -> None:
    if isinstance(data, dict):
        data[part] = value
        return
    if not part.isdigit() or int(part) > len(data):
        raise errors.InvalidInput(
            f"cannot set '{join(pointer)}': the list has {len(data)} items, and '{part}' is not one of them",
            cure=f"use a position from 0 to {len(data)}",
        )
    if int(part) == len(data):
        data.append(value)
    else:
        data[int(part)] = value
