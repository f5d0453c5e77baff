"""Fills ``ports.Serving`` with the gateway of this home folder."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.gateway import log as inference_log
from doubleloop.gateway import paths, protocol, sealing

LOG = logging.getLogger(__name__)
LOG_TAIL_BYTES = 4 << 20


class GatewayServing:
    def __init__(self, home: Path) -> None:
        self._home = home

    @contextmanager
    def lock(self) -> Iterator[None]:
        folder = self._home / "serving"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "publish.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def publish(self, endpoints: dict[str, protocol.Endpoint]) -> int:
        before = protocol.read_desired(self._home)
        endpoints = _acceptable(endpoints, before.endpoints if before else {})
        if before is not None and dict(before.endpoints) == endpoints:
            return before.generation
        generation = before.generation + 1 if before else 1
        protocol.write_desired(self._home, protocol.Desired(generation, endpoints))
        return generation

    def published(self) -> dict[str, protocol.Endpoint]:
        before = protocol.read_desired(self._home)
        return dict(before.endpoints) if before else {}

    def seal(self, deployment_id: str, variable: str, value: str) -> str:
        return sealing.seal(self._home, deployment_id, variable, value)

    def status(self) -> protocol.Status:
        return protocol.read_status(self._home)

    def flush(self) -> None:
        protocol.AdminClient(self._home).flush()

    def inferences(self, workspace: str, endpoint: str, **window: Any) -> pl.DataFrame:
        return inference_log.read(self._home, workspace, endpoint, **window)

    def log_files(self, workspace: str, endpoint: str, **window: Any) -> list[inference_log.File]:
        return inference_log.files(self._home, workspace, endpoint, **window)

    def labels(self, workspace: str, endpoint: str, **window: Any) -> pl.DataFrame:
        return inference_log.read_labels(self._home, workspace, endpoint, **window)

    def folder(self, kind: str) -> Path:
        return self._home / "serving" / kind

    def log(self, deployment_id: str, lines: int) -> str:
        file = paths.scorer_folder(self._home, deployment_id) / "scorer.log"
        if not file.exists():
            return ""
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - LOG_TAIL_BYTES))
            return "".join(stream.read().decode(errors="replace").splitlines(keepends=True)[-lines:])


def _acceptable(
    wanted: Mapping[str, protocol.Endpoint], before: Mapping[str, protocol.Endpoint]
) -> dict[str, protocol.Endpoint]:
    """One that the gateway would refuse stays as it was, so that it keeps no other from changing."""
    changed = {place: endpoint for place, endpoint in wanted.items() if before.get(place) != endpoint}
    problems = {place: protocol.problem(place, endpoint) for place, endpoint in changed.items()}
    for place, problem in problems.items():
        if problem:
            LOG.error("endpoint %s stays as it is: the gateway would refuse what is wanted of it: %s", place, problem)
    kept = {place: endpoint for place, endpoint in before.items() if problems.get(place)}
    return {place: endpoint for place, endpoint in wanted.items() if not problems.get(place)} | kept
