"""Release definitions, releases, and how far each stage of a release has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    RUNNING = "running"  # retraining, deploying, checking, queued for its turn
    WAITING = "waiting"  # for people
    ROLLING_OUT = "rolling_out"  # traffic is moving
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a newer release of the same definition has overtaken it
    ROLLED_BACK = "rolled_back"


MAX_ID = 80
ENDED = frozenset(set(Status) - {Status.RUNNING, Status.WAITING, Status.ROLLING_OUT})


@dataclass(frozen=True)
class Definition:
    """One version of a release definition; ``document`` is its wire form. A change is a new version."""

    name: str
    version: int
    hash: str
    model: str
    trigger: str
    scenario: str
    workspaces: tuple[str, ...]
    document: dict[str, Any]
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Stage:
    """``candidate`` is the model version (number) that this stage deals with. ``traffic_before`` and
    ``champion_before`` are what stood there when its rollout began; ``champion_judged`` is the champion that the
    candidate was compared with (empty: there was none). ``rolled_out`` is True once it took all traffic."""

    release: str
    position: int
    workspace: str
    phase: str = "pending"
    candidate: str = ""
    job: str = ""
    endpoint: str = ""
    deployment: str = ""
    deployment_name: str = ""
    signature: dict[str, Any] | None = None
    approval: str = ""
    champion_judged: str | None = None
    champion_before: str = ""
    traffic_before: dict[str, int] | None = None
    rolled_out: bool = False
    entered_at: datetime | None = None
    passed_at: datetime | None = None


@dataclass(frozen=True)
class Release:
    """``version`` is the model version that started it, ``candidate`` the one it is about now (retrained or not).

    ``number`` counts all releases of the installation and names their deployments. ``ending`` is an end that somebody
    asked for and that the workflow has not yet carried out: {status, reason, by}.
    """

    id: str
    number: int
    definition: str
    definition_version: int
    model: str
    version: str
    candidate: str
    status: Status
    position: int
    workspace: str
    phase: str
    topic: str
    reasons: tuple[str, ...]
    trigger: dict[str, Any]
    ending: dict[str, Any] | None
    created_by: str
    created_at: datetime
    ended_at: datetime | None = None
    stages: tuple[Stage, ...] = field(default=())

    @property
    def subject(self) -> str:
        return f"release:{self.id}"

    @property
    def workflow(self) -> str:
        return f"release/{self.id}"

    @property
    def stage(self) -> Stage:
        return self.stages[self.position]


@dataclass(frozen=True)
class Measured:
    """What a check found: ``body`` is plain JSON without NaN, ``attachments`` name stored blobs."""

    body: dict[str, Any]
    attachments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """Everything a measurement may need to know. ``check`` is the check as its definition says it, ``run`` a name that
    is the same when the measurement is repeated after a crash. Model versions are (name, version)."""

    run: str
    workspace: str
    check: dict[str, Any]
    candidate: tuple[str, str]
    champion: tuple[str, str] | None
    target: str | None
    signature: dict[str, Any] | None
    holdouts: tuple[str, ...]
    endpoint: str
    deployment: str
    deployment_name: str
    job: str
    asked_at: str
