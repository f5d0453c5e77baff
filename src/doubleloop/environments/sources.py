"""Where an environment's pins are written, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from doubleloop.environments import model


@dataclass(frozen=True)
class EnvironmentSource:
    """``image`` is recorded and not run; ``asset`` is the environment version's id when it is one."""

    spec: model.CondaSpec
    image: str = ""
    asset: str | None = None


@dataclass(frozen=True)
class Prepared:
    """An environment that is there: its lock, and the interpreter to start."""

    lock: model.Lock
    python: Path
    reused: bool
    seconds: float

    @property
    def lock_digest(self) -> str:
        return self.lock.digest
