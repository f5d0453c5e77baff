"""Endpoints, deployments, what they have answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    PREPARING = "preparing"  # environment and files are being made ready
    STARTING = "starting"  # asked of the gateway, does not answer yet
    READY = "ready"
    FAILED = "failed"
    REPLACED = "replaced"  # another deployment took its name
    DELETED = "deleted"


# The auth mode of an endpoint that asks for no key: one of this machine alone.
OPEN = "none"
# Those whose callers show a token that ends, instead of a key.
TOKEN_MODES = ("aml_token", "aad_token")
TOKEN_HOURS = 12
LIVE = (Status.STARTING, Status.READY)
OVER = (Status.FAILED, Status.REPLACED, Status.DELETED)


@dataclass(frozen=True)
class Endpoint:
    """``traffic`` and ``mirror_traffic``: whole per cents by deployment name. ``slo``: as its file says it."""

    workspace: str
    name: str
    auth_mode: str
    traffic: dict[str, int]
    mirror_traffic: dict[str, int]
    description: str
    tags: dict[str, str]
    primary_generation: int
    secondary_generation: int
    created_by: str
    created_at: datetime
    slo: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return f"endpoint:{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Deployment:
    """One version of one deployment: a change under the same name is a new ``id``.

    ``spec`` is the wire document it was made from; ``files`` where the model and code were laid on this machine.
    """

    id: str
    workspace: str
    endpoint: str
    name: str
    status: Status
    error: str
    model_name: str
    model_version: str
    model_id: str
    spec: dict[str, Any]
    signature: dict[str, Any] | None
    environment_lock: str
    python: str
    files: dict[str, Any]
    release: str | None
    all_traffic: bool
    notify: str | None
    created_by: str
    created_at: datetime
    ready_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.status in LIVE


@dataclass(frozen=True)
class Instances:
    """``wanted`` and ``ready`` scoring processes now; ``scaled`` tells when, from and to which number and why they last
    followed the load (``at``, ``before``, ``after``, ``why``; None: never). ``plan``: what may answer in the model's
    place, as its scorer tells it; None while nothing is known."""

    wanted: int
    ready: int
    scaled: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None


@dataclass(frozen=True)
class Metrics:
    """What one deployment has answered since the gateway began to serve it.

    ``latency``: gateway histogram counts of the answers other than 4xx; ``throttled`` (429) is part of ``errors_4xx``.
    """

    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    throttled: int = 0
    latency: tuple[int, ...] = ()
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    state: str = "unknown"
    error: str = ""
    ready_instances: int = 0
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """Requests that were the caller's mistake: they say nothing about the deployment."""
        return self.errors_4xx - self.throttled

    @property
    def asked(self) -> int:
        """Requests that the model answered, or should have answered."""
        return self.requests - self.refused

    @property
    def error_rate(self) -> float:
        """Share of what was asked that failed (5xx), or was turned away because the deployment was too busy (429)."""
        return (self.errors_5xx + self.throttled) / self.asked if self.asked else 0.0
