"""What the demonstration says while it plays: one line per thing that happens, with the time since the start."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Teller:
    """Writes to standard output; on a terminal a waiting line is redrawn in place."""

    def __init__(self, stream: Any = None) -> None:
        self._stream = stream or sys.stdout
        self._began = time.monotonic()
        self._live = bool(getattr(self._stream, "isatty", lambda: False)())
        self._open = False
        self.seconds: dict[str, float] = {}

    def say(self, text: str = "") -> None:
        self._close()
        elapsed = time.monotonic() - self._began
        for line in text.splitlines() or [""]:
            self._stream.write(f"{elapsed:6.1f} s  {line}\n" if line else "\n")
        self._stream.flush()

    def raw(self, text: str) -> None:
        self._close()
        self._stream.write(text + "\n")
        self._stream.flush()

    def doing(self, text: str) -> None:
        """A line that the next one replaces; without a terminal nothing is written."""
        if self._live:
            self._stream.write(f"\r\033[K          {text[:100]}")
            self._stream.flush()
            self._open = True

    def _close(self) -> None:
        if self._open:
            self._stream.write("\r\033[K")
            self._open = False

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """A part of the story; how long it took is kept for the end."""
        self.raw("")
        self.say(f"── {title} " + "─" * max(2, 78 - len(title)))
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[title] = self.seconds.get(title, 0.0) + time.monotonic() - began
