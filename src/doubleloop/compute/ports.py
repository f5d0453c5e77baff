"""The port every kind of compute fills."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from doubleloop.compute import model

LATEST = 0
LOG_CHUNK_BYTES = 1024 * 1024


class Compute(Protocol):
    """Runs step runs. Calls may come from any thread and any process, and may be repeated after a crash.

    ``attempt`` 0 means the latest one that was started. Every call but ``start`` raises NotFound for a run that was
    never started here. How many runs go at once is the caller's to limit.
    """

    def start(self, run: model.StepRun) -> None:
        """Start it, or do nothing when this attempt was started before, whatever became of it. Raises Failed."""
        ...

    def poll(self, id: str, attempt: int = LATEST) -> model.Status: ...

    def wait(self, id: str, timeout: float | None = None, attempt: int = LATEST) -> model.Status:
        """Block until the run has ended or ``timeout`` seconds have gone by; the status at that moment."""
        ...

    def cancel(self, id: str, attempt: int = LATEST) -> None:
        """Ask it to end (its grace time applies). Nothing happens to a run that has ended."""
        ...

    def logs(self, id: str, offset: int = 0, attempt: int = LATEST) -> bytes:
        """What was printed from byte ``offset`` on, at most 1 MiB; the next offset is ``offset + len(answer)``."""
        ...

    def code(self, id: str, attempt: int = LATEST) -> Path:
        """The folder the command ran in, with its ``outputs`` and ``logs`` folders."""
        ...
