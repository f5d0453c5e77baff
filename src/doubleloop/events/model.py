"""A fact and the state of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.base import record

GENESIS = record.GENESIS
# What the fact of a refused attempt is called.
DENIED = "access.denied"


@dataclass(frozen=True)
class Fact:
    """``type`` is a past tense (``model.registered``), ``subject`` what it is about (``model:bikes:3``).

    ``context`` says by which means and right, and where from (docs/audit.md); None in facts of before it was kept.
    """

    seq: int
    type: str
    workspace: str | None
    subject: str
    actor: str
    at: datetime
    data: dict[str, Any]
    previous: str
    hash: str
    context: dict[str, Any] | None = None

    @property
    def outcome(self) -> str:
        """``refused`` when somebody was not let, else ``done``."""
        return "refused" if self.type == DENIED else "done"

    @property
    def reason(self) -> str:
        """Why it was done, where the person said so."""
        said = self.data.get("reason") or self.data.get("comment") or (self.context or {}).get("reason")
        return said if isinstance(said, str) else ""


@dataclass(frozen=True)
class ChainReport:
    """``facts`` is the number of the newest that holds. ``broken_at`` is the first sequence number that does not, 0
    when the chain is whole.

    ``archived``: the last fact that was archived and removed (0: none was); ``checkpoints``: how many signatures were
    checked, ``signed`` the newest fact under one, ``key`` the id of the key. ``guarded``: whether the database itself
    refuses changes of the record.
    """

    facts: int
    head: str
    broken_at: int = 0
    why: str = ""
    archived: int = 0
    checkpoints: int = 0
    signed: int = 0
    key: str = ""
    guarded: bool = True

    @property
    def whole(self) -> bool:
        return self.broken_at == 0


@dataclass(frozen=True)
class Query:
    """Which facts are meant; what is None or empty does not narrow. A ``subject`` or type that ends in ``*`` is the
    beginning of one. ``workspaces`` None means all; ``action`` is the one that was permitted or refused.
    """

    types: tuple[str, ...] = ()
    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    workspaces: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Cut:
    """Facts ``first`` to ``seq`` were archived to ``file`` (of that SHA-256) and removed; ``hash`` is the seal of the
    last. ``signature`` is the installation's over all of it."""

    seq: int
    hash: str
    first: int
    at: datetime
    file: str
    sha256: str
    key: str
    signature: str


seal = record.seal
