"""One line of progress on a terminal, rewritten in place; into a file or pipe, a line now and then."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

# Between two lines where nothing can be rewritten, and between two rewrites.
_SECONDS_PLAIN, _SECONDS_LIVE = 5.0, 0.1


class Progress:
    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = stream.isatty()
        # Into a file or pipe the first line waits too: most commands are over before it is due.
        self._last = 0.0 if self._live else time.monotonic()
        self._shown = False

    def bytes(self, verb: str) -> Progress.Bytes:
        """A callback ``(what, bytes done, bytes in all)``."""
        return Progress.Bytes(self, verb)

    def say(self, text: str, *, always: bool = False) -> None:
        """Show ``text`` as the present state; ``always`` even when the last one was just now."""
        if self._quiet:
            return
        now = time.monotonic()
        if not always and now - self._last < (_SECONDS_LIVE if self._live else _SECONDS_PLAIN):
            return
        self._last = now
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{text[:width]}")
            self._shown = True
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that other text can stand there."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False

    class Bytes:
        def __init__(self, progress: Progress, verb: str) -> None:
            self._progress, self._verb = progress, verb

        def __call__(self, what: str, done: int, total: int) -> None:
            if total and done >= total:
                self._progress.clear()
                return
            share = f" {100 * done // total:d} %" if total else ""
            self._progress.say(f"{self._verb}{share} of {size(total)}: {what}" if total else f"{self._verb} {what}")


def size(count: int) -> str:
    """``1.5 MiB``."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
