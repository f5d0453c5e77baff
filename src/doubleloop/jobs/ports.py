"""What jobs need to run a step's command in the environment its file asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from doubleloop.base import actors
from doubleloop.db.context import Contexts


class Built(Protocol):
    """``lock_digest`` stands for every installed package and version, ``python`` is the interpreter to start."""

    @property
    def lock_digest(self) -> str: ...

    @property
    def python(self) -> Path: ...


class Environments(Protocol):
    """Builds environments. When nothing is plugged in, the environments room does it (``environments.py``)."""

    def prepare(
        self,
        contexts: Contexts,
        actor: actors.Actor,
        workspace: str,
        environment: str | Mapping[str, Any],
        progress: Callable[[str], None],
    ) -> Built:
        """Takes as long as a build does; the second time it is there. Raises InvalidInput, NotFound, Failed."""
        ...
