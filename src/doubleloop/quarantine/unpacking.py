"""Opening what holds other streams: compressed files one chunk at a time, without keeping what was unpacked."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from doubleloop.quarantine.reading import CHUNK, Malformed, Readable, Source

BROKEN = "its compression is broken"


class _Zlib:
    """zlib's object with the interface of the others; ``wbits`` 15 is zlib, 31 gzip."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class Unpacked:
    """A compressed stream as a readable one, stream after stream as long as there are any, as joblib and gzip read
    them. Never more than one chunk is unpacked at a time, so a bomb costs time, not memory."""

    def __init__(self, packed: Readable, start: Callable[[], Any]) -> None:
        self._packed = packed
        self._start = start
        self._current: Any = start()
        self._pending = b""
        self._began = False

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if self._current.eof and not self._next_stream():
                return b""
            data = b""
            if getattr(self._current, "needs_input", True):
                data = self._pending or self._packed.read(CHUNK)
                self._pending = b""
                if not data:
                    if not self._began:
                        return b""
                    raise Malformed("its compression ends in the middle")
            self._began = True
            try:
                found = self._current.decompress(data, CHUNK if size < 0 else min(size, CHUNK))
            except (OSError, zlib.error, lzma.LZMAError, EOFError) as problem:
                raise Malformed(BROKEN) from problem
            if found:
                return bytes(found)

    def _next_stream(self) -> bool:
        rest = self._current.unused_data or self._packed.read(CHUNK)
        rest = rest.lstrip(b"\x00")
        if not rest:
            return False
        self._pending, self._current = rest, self._start()
        return True


_OLD_JOBLIB_HEADER = len("ZF") + len(hex(2**64))

# What a compressed stream begins with, what unpacks it, and how many bytes in.
STARTS: list[tuple[bytes, str, Callable[[], Any]]] = [
    (b"\x1f\x8b", "gzip", lambda: _Zlib(31)),
    (b"BZh", "bz2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", "lzma", lzma.LZMADecompressor),
]
UNREADABLE = [
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"Rar!\x1a\x07", "rar"),
]


def _is_zlib(head: bytes) -> bool:
    """RFC 1950: method 8, window up to 32 KiB, and a checksum over the two bytes. ``ZF`` is joblib before 0.10."""
    return len(head) > 2 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0


def packing(head: bytes) -> str:
    """The compression a stream begins with, or an empty text."""
    for magic, name, _ in STARTS:
        if head.startswith(magic):
            return name
    if head.startswith(b"ZF0x"):
        return "zlib of old joblib"
    return "zlib" if _is_zlib(head) else ""


def unpack(source: Source, name: str) -> Unpacked:
    if name == "zlib of old joblib":
        source.skip(_OLD_JOBLIB_HEADER)
        if source.peek(1) == b" ":
            source.skip(1)
        name = "zlib"
    if name == "zlib":
        return Unpacked(source, lambda: _Zlib(15))
    return Unpacked(source, next(start for _, known, start in STARTS if known == name))
