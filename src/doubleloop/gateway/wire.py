"""Frames between gateway and scorer: ``>II`` header and body length, header as JSON (or marshal), body as bytes.

The scorer has its own copy of this format (``scorer/wire.py``): it runs where this package is not installed.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterator
from typing import Any

import orjson

LENGTHS = struct.Struct(">II")


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    return _frame(orjson.dumps(header), body)


def to_scorer(header: dict[str, Any], body: bytes = b"") -> bytes:
    """The header in the form of ``marshal`` instead of JSON: a scorer has only the standard library, whose JSON is ten
    times slower. Its version 2 is read by every Python 3. It may be trusted, which what a scorer sends may not."""
    return _frame(marshal.dumps(header, 2), body)


def _frame(head: bytes, body: bytes) -> bytes:
    return LENGTHS.pack(len(head), len(body)) + head + body


class Decoder:
    """Bytes in as they come, whole frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        self._buffer += data
        while len(self._buffer) >= LENGTHS.size:
            head, body = LENGTHS.unpack_from(self._buffer)
            end = LENGTHS.size + head + body
            if len(self._buffer) < end:
                return
            header = orjson.loads(self._buffer[LENGTHS.size : LENGTHS.size + head])
            content = bytes(self._buffer[LENGTHS.size + head : end])
            del self._buffer[:end]
            yield header, content
