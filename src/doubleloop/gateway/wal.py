"""The write-ahead log: a record is in the kernel's hands before its answer is sent.

One ``os.write`` per record, so a killed process loses nothing it answered; ``fsync`` in the background bounds what
a power loss can cost. A segment is locked (flock) while it is open, so nobody converts it under the writer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from doubleloop.gateway import limits as limit

SUFFIX = ".jsonl"
LATER = 19  # of -20 to 19
STAMP = "%Y%m%dT%H%M%S%fZ"


def leftovers(inference: Path) -> list[Path]:
    """Segments of earlier processes, oldest first."""
    return sorted(inference.glob(f"*/*/*/wal/*{SUFFIX}"), key=lambda path: path.name)


class Segment:
    """One open file of the log. ``append`` raises OSError and leaves the file as it was."""

    def __init__(self, folder: Path, header: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._fd = _created(folder)
        self.size = 0
        self.records = 0
        self.opened = time.monotonic()
        self.dirty = False
        try:
            self._write(header)
        except OSError:
            os.close(self._fd)
            self.path.unlink(missing_ok=True)
            raise

    def append(self, line: bytes, records: int = 1) -> None:
        self._write(line)
        self.records += records
        self.dirty = True

    def _write(self, line: bytes) -> None:
        done = 0
        try:
            while done < len(line):  # short writes happen when the disk is nearly full
                done += os.write(self._fd, line[done:] if done else line)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)
                os.lseek(self._fd, self.size, os.SEEK_SET)
            raise
        self.size += len(line)

    def sync(self) -> None:
        """Blocks until the disk has it; runs in a thread."""
        self.dirty = False
        with contextlib.suppress(OSError):  # closed meanwhile, after a sync of its own
            os.fsync(self._fd)

    def close(self) -> None:
        """Syncs and closes in a thread. The lock is held until then, so a converter waits for the sync."""
        threading.Thread(target=self._finish, name="wal-close").start()

    def _finish(self) -> None:
        _give_way()
        self.sync()
        os.close(self._fd)


def _give_way() -> None:
    """This thread alone: writing a second's records back takes a processor for milliseconds, and requests go before."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LATER)


_SYNCING = concurrent.futures.ThreadPoolExecutor(1, "wal-sync", _give_way)


async def synced(segment: Segment) -> None:
    """Returns when the disk has it; requests go before."""
    await asyncio.get_running_loop().run_in_executor(_SYNCING, segment.sync)


def _created(folder: Path) -> tuple[Path, int]:
    """A new file, locked. Another process that clears up after a dead one may find it before the lock is taken, and
    remove it as a segment that was never begun: then the next one is ours."""
    while True:
        stamp = datetime.now(UTC).strftime(STAMP)
        path = folder / f"{stamp}-{secrets.token_hex(4)}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                return path, fd
        except BlockingIOError:
            pass
        os.close(fd)


class Log:
    """The open segment of one deployment (or of one endpoint's labels), and when it is full.

    ``full`` is called with the path of each segment that was closed and now waits to become Parquet.
    """

    def __init__(self, folder: Path, header: bytes, limits: limit.Limits, full: Callable[[Path], None]) -> None:
        self._folder, self._header, self._limits, self._full = folder, header, limits, full
        self._segment: Segment | None = None

    def append(self, line: bytes, records: int = 1) -> None:
        """Raises OSError when the record could not be written: then it must not be answered as a success."""
        segment = self._segment
        if segment is None:
            segment = self._segment = Segment(self._folder, self._header)
        segment.append(line, records)
        if segment.records >= self._limits.rotate_rows or segment.size >= self._limits.rotate_bytes:
            self.rotate()

    def rotate(self) -> None:
        """Close the open segment, if any, and hand it on."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
            self._full(segment.path)

    def old(self) -> bool:
        segment = self._segment
        return segment is not None and time.monotonic() - segment.opened >= self._limits.rotate_seconds

    def dirty(self) -> Segment | None:
        return self._segment if self._segment is not None and self._segment.dirty else None
