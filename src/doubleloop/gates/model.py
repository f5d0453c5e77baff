"""Evidence, approvals and decisions: what a gate looks at, and what people said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from doubleloop.base import verdicts


@dataclass(frozen=True)
class Evidence:
    """One deposited check. ``hash`` is the SHA-256 of its canonical JSON: everything but ``id`` and ``hash``.

    ``subject`` is what was checked (``release:…``), ``check`` its name there (``0.2:model_quality``), ``attachments``
    maps a name to a blob reference (``blob:sha256:…``).
    """

    id: str
    subject: str
    check: str
    type: str
    outcome: verdicts.Outcome
    reasons: tuple[str, ...]
    body: dict[str, Any]
    attachments: dict[str, str]
    created_by: str
    created_at: datetime
    hash: str

    @property
    def verdict(self) -> verdicts.Verdict:
        return verdicts.Verdict(self.outcome, self.reasons)


class ApprovalStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Decision:
    """What one person said about one approval, and about which evidence. ``decision`` is approve or reject."""

    approval: str
    actor: str
    decision: str
    comment: str
    evidence_digest: str
    at: datetime


@dataclass(frozen=True)
class Approval:
    """A question to people. ``authors`` maps who may not answer to why (``ada`` → ``started the training job``)."""

    id: str
    subject: str
    gate: str
    workspace: str
    personas: tuple[str, ...]
    count: int
    authors: dict[str, str]
    evidence_digest: str
    notify: str
    status: ApprovalStatus
    opened_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None = None
    reason: str = ""
    decisions: tuple[Decision, ...] = field(default=())

    @property
    def approvers(self) -> tuple[str, ...]:
        return tuple(each.actor for each in self.decisions if each.decision != "reject")
