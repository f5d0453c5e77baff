"""What a step run is asked to be, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    QUEUED = "queued"  # asked for, not yet in the hands of a runner
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # its runner is gone and left no outcome: killed, or the machine stopped

    @property
    def ended(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class Output:
    """A declared output: the absolute path the command writes to, and its asset type (``uri_file`` ...)."""

    path: Path
    type: str = "uri_folder"


@dataclass(frozen=True)
class StepRun:
    """One attempt of one step. ``id`` and ``attempt`` together name it; starting the same one again re-attaches.

    ``python`` is the interpreter of a built environment. ``code`` is a folder that is copied before the command starts.
    ``env`` is the whole environment of the command (nothing is inherited from this process), and ``secrets`` are more
    of it: variables whose values are written nowhere and masked in the log. ``inputs`` are recorded only: their paths
    stand in the command already. ``launcher`` starts the command in another way than as one process: ``{"program":
    "distributed" | "parallel", ...}``, see ``runner``. Times are seconds, sizes bytes; 0 means no limit.
    """

    id: str
    command: str
    python: Path
    attempt: int = 1
    code: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    launcher: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 0
    quota_bytes: int = 0
    grace_s: float = 10
    log_cap_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class Produced:
    """What lay at an output's path when the command had ended; ``kind`` is file, folder or missing."""

    kind: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Exit:
    """How a run ended. ``exit_code`` is None when a signal ended it; times are ISO 8601; ``max_rss`` is bytes."""

    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    started_at: str
    ended_at: str
    max_rss: int = 0
    cpu_seconds: float = 0.0
    disk_bytes: int = 0
    log_bytes: int = 0
    log_dropped_bytes: int = 0
    outputs: Mapping[str, Produced] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """``reason`` is one of: completed, exit code, signal, timeout, disk quota, cancelled, terminated, setup, killed;
    empty while the run has not ended. ``exit`` is None until then, and for a lost run."""

    state: State
    reason: str = ""
    message: str = ""
    exit: Exit | None = None
