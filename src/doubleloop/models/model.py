"""A model version."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ModelVersion:
    """``reference`` is the tree (or blob) of its files; ``signature`` holds MLflow's column specs or is None.

    ``created_by`` is who registered it, ``authors`` everyone who had a hand in it (registrant, job's submitter).
    ``training_data`` are ids of data versions that led to it. ``number`` is what MLflow calls the version.
    """

    name: str
    version: str
    workspace: str | None
    digest: str
    reference: str
    flavor: str
    run_id: str | None
    job: str | None
    step: str | None
    created_by: str
    created_at: datetime
    signature: dict[str, Any] | None = None
    authors: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    description: str = ""
    labels: tuple[str, ...] = ()
    training_data: tuple[str, ...] = ()
    number: str = ""
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"model:registry/{self.name}:{self.version}"
