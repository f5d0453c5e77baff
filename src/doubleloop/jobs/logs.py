"""The log of an attempt: what was told before the command began, what it printed, and how it ended.

While the attempt lives it is read from its three places; afterwards from one blob, with the same bytes at the same
offsets, so that who follows it needs not know.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from doubleloop.base import clock, errors
from doubleloop.compute import ports as compute
from doubleloop.jobs import places
from doubleloop.jobs.model import Step
from doubleloop.jobs.places import House
from doubleloop.storage import ports as storage

CHUNK_BYTES = compute.LOG_CHUNK_BYTES


class Prelude:
    """Writes the lines before the command's own: inputs, environment, whether it is reused."""

    def __init__(self, house: House, step: Step) -> None:
        self._folder = places.folder(house, step)

    def __call__(self, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # One write call: the lines of parallel builds do not mix.
        descriptor = os.open(_prelude(self._folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, _line(line))
        finally:
            os.close(descriptor)


def close(house: House, step: Step, reason: str) -> str:
    """Put the log away with ``reason`` (if any) as its last lines; returns the blob's hash. May be repeated."""
    with tempfile.TemporaryFile() as file:
        for part in _parts(house, step):
            file.write(part)
        if reason:
            file.write(_line(reason))
        file.seek(0)
        return house.port(storage.Blobs).put(file)


def read(house: House, step: Step, offset: int) -> bytes:
    """At most 1 MiB from ``offset`` on; nothing when there is no more yet."""
    if step.log:
        return _slice(house.port(storage.Blobs).path(step.log), offset)
    prelude = _prelude(places.folder(house, step))
    size = prelude.stat().st_size if prelude.exists() else 0
    if offset < size:
        return _slice(prelude, offset)
    return _printed(house, step, offset - size)


def read_kept(house: House, sha256: str, offset: int) -> bytes:
    """The same, of an attempt that ended."""
    return _slice(house.port(storage.Blobs).path(sha256), offset)


def _parts(house: House, step: Step) -> Iterator[bytes]:
    prelude = _prelude(places.folder(house, step))
    if prelude.exists():
        yield prelude.read_bytes()
    offset = 0
    while chunk := _printed(house, step, offset):
        yield chunk
        offset += len(chunk)


def _printed(house: House, step: Step, offset: int) -> bytes:
    try:
        return house.port(compute.Compute).logs(step.run, offset, step.attempt)
    except errors.NotFound:
        return b""


def _prelude(folder: Path) -> Path:
    return folder / "prelude.log"


def _slice(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(offset, 0))
        return file.read(CHUNK_BYTES)


def _line(text: str) -> bytes:
    return f"[doubleloop {clock.iso(clock.now())[11:19]}] {text.rstrip()}\n".encode()
