"""Running a command in a model's or job's environment, and attaching to it again after a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from doubleloop.base import errors
from doubleloop.compute import model as compute
from doubleloop.compute import ports
from doubleloop.db.context import Contexts
from doubleloop.settings.model import Settings

ATTEMPTS = 3
LOG_TAIL = 4000

# One thread each: two OpenMP threads on a busy small machine are several times slower than one.
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "MLFLOW_ENABLE_TELEMETRY": "false"}


def finished(contexts: Contexts, id_: str, ask: Callable[[int], compute.StepRun]) -> tuple[compute.Status, int]:
    """Start a run, or find it running, and wait for its end; the status, and which attempt it was.

    ``ask`` lays the files of an attempt and says what to run; it is called only for an attempt that never began. A
    run whose machine was lost is tried again. Raises Unavailable when it is lost every time.
    """
    machine = contexts.port(ports.Compute)
    for attempt in range(1, ATTEMPTS + 1):
        if not _begun(machine, id_, attempt):
            machine.start(ask(attempt))
        status = machine.wait(id_, attempt=attempt)
        if status.state is not compute.State.LOST:
            return status, attempt
    raise errors.Unavailable(f"{id_} was lost {ATTEMPTS} times: {status.message}")


def _begun(machine: ports.Compute, id_: str, attempt: int) -> bool:
    try:
        return machine.poll(id_, attempt).state is not compute.State.QUEUED
    except errors.NotFound:
        return False


def tail(contexts: Contexts, id_: str, attempt: int) -> str:
    """The last lines that a run printed."""
    machine = contexts.port(ports.Compute)
    offset, kept = 0, b""
    while chunk := machine.logs(id_, offset, attempt):
        offset += len(chunk)
        kept = (kept + chunk)[-LOG_TAIL:]
    return kept.decode("utf-8", "replace")


def log(contexts: Contexts, id_: str, attempt: int) -> bytes:
    """All that a run printed (at most what compute keeps)."""
    machine = contexts.port(ports.Compute)
    parts: list[bytes] = []
    while chunk := machine.logs(id_, sum(map(len, parts)), attempt):
        parts.append(chunk)
    return b"".join(parts)


def forget(contexts: Contexts, id_: str) -> None:
    """Remove the files of a run whose answer is kept elsewhere now. Not before: after a crash they are read again."""
    shutil.rmtree(contexts.port(Settings).home / "releases" / id_, ignore_errors=True)


def folder(contexts: Contexts, id_: str, attempt: int) -> Path:
    """Where the files of an attempt are laid."""
    return contexts.port(Settings).home / "releases" / id_ / str(attempt)
