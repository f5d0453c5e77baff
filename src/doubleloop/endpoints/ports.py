"""What endpoints need of the process that serves."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import polars as pl

from doubleloop.gateway import log as inference_log
from doubleloop.gateway import protocol


class Serving(Protocol):
    def publish(self, endpoints: dict[str, protocol.Endpoint]) -> int:
        """Ask for exactly these endpoints (by ``workspace/name``); returns the generation. Call it under ``lock``."""

    def published(self) -> dict[str, protocol.Endpoint]:
        """What was asked for last."""

    def seal(self, deployment_id: str, variable: str, value: str) -> str:
        """A secret's value, as text that only this home's gateway opens: the same for the same value."""

    def lock(self) -> object:
        """A context manager: one publisher at a time on this home."""

    def status(self) -> protocol.Status:
        """Raises Unavailable when no gateway answers."""

    def flush(self) -> None:
        """Everything answered so far becomes readable. Raises Unavailable."""

    def inferences(self, workspace: str, endpoint: str, **window: object) -> pl.DataFrame: ...

    def log_files(self, workspace: str, endpoint: str, **window: object) -> list[inference_log.File]:
        """The same rows file by file; a file never changes, so what was computed of it may be kept beside it."""

    def labels(self, workspace: str, endpoint: str, **window: object) -> pl.DataFrame: ...

    def folder(self, kind: str) -> Path:
        """Where files that serving needs are laid: ``models``, ``code``."""

    def log(self, deployment_id: str, lines: int) -> str:
        """The newest lines of a deployment's scorers; empty when there are none."""
