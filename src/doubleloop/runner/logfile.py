"""The log of a run: everything the command printed up to a cap, then only its last words."""

from __future__ import annotations

import os

TAIL_BYTES = 64 * 1024


class CappedLog:
    """Appends to a file until ``cap_bytes``; what comes after is dropped except for the last 64 KiB.

    The end is kept because that is where the traceback is. A full disk drops bytes too, but never stops the command.
    """

    def __init__(self, path: str, cap_bytes: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._room = cap_bytes
        self._tail = b""
        self.written = 0
        self.dropped = 0

    def write(self, data: bytes) -> None:
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._append(head)
        if rest:
            self.dropped += len(rest)
            self._tail = (self._tail + rest)[-TAIL_BYTES:]

    def close(self) -> None:
        if self._tail:
            self.dropped -= len(self._tail)
            note = "\n[the log is full: %d bytes were dropped here; what follows is its end]\n" % self.dropped
            self._append(note.encode() + self._tail)
        os.close(self._fd)

    def _append(self, data: bytes) -> None:
        while data:
            try:
                count = os.write(self._fd, data)
            except OSError:
                self.dropped += len(data)
                return
            self.written += count
            data = data[count:]
