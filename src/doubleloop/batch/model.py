"""Batch endpoints, their deployments and what was invoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    MODEL = "model"
    PIPELINE = "pipeline"


@dataclass(frozen=True)
class Endpoint:
    """``default_deployment`` answers when an invocation names none; empty while there is none."""

    workspace: str
    name: str
    auth_mode: str
    default_deployment: str
    description: str
    tags: dict[str, str]
    created_by: str
    created_at: datetime

    @property
    def id(self) -> str:
        return f"batch-endpoint:{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Deployment:
    """``spec`` is the wire document; ``model_reference`` the model's content, ``no_code`` that it needs no script.

    A change under the same name is a new ``id``; invocations that run keep what they began with.
    """

    id: str
    workspace: str
    endpoint: str
    name: str
    kind: Kind
    spec: dict[str, Any]
    model_name: str
    model_version: str
    model_id: str
    model_reference: str
    no_code: bool
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Invocation:
    """``job`` is what it started; ``deployment_id`` the very deployment that answered."""

    job: str
    workspace: str
    endpoint: str
    deployment: str
    deployment_id: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Settings:
    """How a model deployment scores, once its file and the invocation have been heard; times in seconds.

    ``instance_count`` is kept and shown: everything runs on this machine.
    """

    mini_batch_size: int = 10
    max_concurrency_per_instance: int = 1
    instance_count: int = 1
    append_row: bool = True
    output_file_name: str = "predictions.csv"
    max_retries: int = 3
    timeout_s: int = 0
    error_threshold: int = -1
    logging_level: str = "info"
