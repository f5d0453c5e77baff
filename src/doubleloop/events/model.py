"""A fact and the state of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.base import canonical, clock

GENESIS = "0" * 64


@dataclass(frozen=True)
class Fact:
    """``type`` is a past tense (``model.registered``), ``subject`` what it is about (``model:bikes:3``)."""

    seq: int
    type: str
    workspace: str | None
    subject: str
    actor: str
    at: datetime
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class ChainReport:
    """``broken_at`` is the first sequence number that does not hold, 0 when the chain is whole."""

    facts: int
    head: str
    broken_at: int = 0
    why: str = ""

    @property
    def whole(self) -> bool:
        return self.broken_at == 0


def seal(
    previous: str,
    seq: int,
    type_: str,
    workspace: str | None,
    subject: str,
    actor: str,
    at: datetime,
    data: dict[str, Any],
) -> str:
    """SHA-256 over the previous seal and everything the fact says: change one byte and all later seals differ."""
    return canonical.sha256([previous, seq, type_, workspace, subject, actor, clock.iso(at), data])
