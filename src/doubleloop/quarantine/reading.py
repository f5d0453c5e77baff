"""Reading a stream forward only, in bounded memory: what is too long to matter is skipped, not kept."""

from __future__ import annotations

from typing import Protocol

CHUNK = 1 << 16


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Malformed(Exception):
    """The stream is not what it says it is: it ends early, or breaks its own rules."""


class TooMuch(Exception):
    """More data than the scan's limits allow to unpack or follow."""


class Budget:
    """How many bytes may still be unpacked, shared by everything inside one scanned file."""

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise TooMuch("it unpacks to more bytes than the limit of a scan")


class Source:
    """A binary stream with one chunk of look-ahead and a position."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._buffer = b""
        self._at = 0
        self.position = 0

    def _fill(self) -> bool:
        """Next chunk into an empty buffer; False at the end of the stream."""
        if self._at < len(self._buffer):
            return True
        self._buffer, self._at = self._stream.read(CHUNK), 0
        self._budget.spend(len(self._buffer))
        return bool(self._buffer)

    def peek(self, size: int) -> bytes:
        """Up to ``size`` bytes without consuming them; fewer only at the end."""
        while len(self._buffer) - self._at < size:
            more = self._stream.read(CHUNK)
            self._budget.spend(len(more))
            if not more:
                break
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        return self._buffer[self._at : self._at + size]

    def read(self, size: int = -1, /) -> bytes:
        """Like a file: up to ``size`` bytes, fewer only at the end. Sizes come from the code, never from the data."""
        if size < 0:
            raise ValueError("a source is never read as a whole")
        parts, wanted = [], size
        while wanted and self._fill():
            part = self._buffer[self._at : self._at + wanted]
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
        found = b"".join(parts)
        self.position += len(found)
        return found

    def byte(self) -> int:
        """The next byte. Raises Malformed at the end."""
        if self._at >= len(self._buffer) and not self._fill():
            raise Malformed("it ends without having come to an end")
        self._at += 1
        self.position += 1
        return self._buffer[self._at - 1]

    def exactly(self, size: int) -> bytes:
        end = self._at + size
        if end <= len(self._buffer):  # nearly always: one slice
            found = self._buffer[self._at : end]
            self._at = end
            self.position += size
            return found
        found = self.read(size)
        if len(found) < size:
            raise Malformed("it ends in the middle of a value")
        return found

    def skip(self, size: int) -> None:
        """Leave ``size`` bytes out. Raises Malformed when there are fewer."""
        while size:
            if not self._fill():
                raise Malformed("it ends in the middle of a value")
            step = min(size, len(self._buffer) - self._at)
            self._at += step
            self.position += step
            size -= step

    def line(self, limit: int) -> bytes | None:
        """Up to the next newline, which is consumed; None when the line is longer than ``limit``."""
        parts, length = [], 0
        while True:
            if not self._fill():
                raise Malformed("it ends in the middle of a line")
            end = self._buffer.find(b"\n", self._at)
            stop = len(self._buffer) if end < 0 else end
            length += stop - self._at
            if length <= limit:
                parts.append(self._buffer[self._at : stop])
            self.position += stop - self._at + (end >= 0)
            self._at = stop + (end >= 0)
            if end >= 0:
                return b"".join(parts) if length <= limit else None

    def at_end(self) -> bool:
        return not self._fill()
