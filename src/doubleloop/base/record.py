"""The written form of the record: how a fact is sealed and told, and what the installation signs.

Here, and not in ``events``, because a client proves an export without a server. The forms never change; a new one gets
a new name, so that what was sealed once can be proved for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.base import canonical, clock, errors, signing

GENESIS = "0" * 64
SECOND = "doubleloop-fact/2"
CHECKPOINT = "doubleloop-checkpoint/1"
EXPORT = "doubleloop-export/1"
CUT = "doubleloop-cut/1"
# The field of the last line of an export that seals the whole of it.
SEAL = "export"
FIELDS = ("seq", "type", "workspace", "subject", "actor", "at", "data", "previous", "hash", "context")


def seal(
    previous: str,
    seq: int,
    type_: str,
    workspace: str | None,
    subject: str,
    actor: str,
    at: datetime,
    data: dict[str, Any],
    context: dict[str, Any] | None = None,
) -> str:
    """SHA-256 over the previous seal and everything the fact says: change one byte and all later seals differ.

    A fact without a context is sealed in the first form, which knew none.
    """
    said = [previous, seq, type_, workspace, subject, actor, clock.iso(at), data]
    return canonical.sha256(said if context is None else [SECOND, *said, context])


def holds(row: Mapping[str, Any], previous: str | None) -> bool:
    """Whether a stored fact is, to the byte, the one that was written.

    ``row``: ``at``, ``data`` and ``context`` as the text they are; ``previous``: the seal before, None when it is not
    at hand. Text that means the same and is written otherwise (a space in the data, another form of the time) does not
    hold.
    """
    try:
        data, at = json.loads(row["data"]), clock.parse(row["at"])
        context = None if row["context"] is None else json.loads(row["context"])
        exact = canonical.dumps(data) == row["data"] and clock.iso(at) == row["at"]
        exact = exact and (row["context"] is None or canonical.dumps(context) == row["context"] != "null")
        found = seal(
            row["previous"], row["seq"], row["type"], row["workspace"], row["subject"], row["actor"], at, data, context
        )  # fmt: skip
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False
    return exact and previous in (None, row["previous"]) and row["hash"] == found


@dataclass(frozen=True)
class Checkpoint:
    """The installation's word that fact ``seq`` had the seal ``hash`` at ``at``. ``public`` is the key, base64."""

    seq: int
    hash: str
    at: datetime
    public: str
    signature: str

    @property
    def key(self) -> str:
        return signing.key_id(self.public)

    @property
    def said(self) -> dict[str, Any]:
        return {"at": clock.iso(self.at), "hash": self.hash, "key": self.key, "seq": self.seq}

    def to_dict(self) -> dict[str, Any]:
        return {"format": CHECKPOINT, **self.said, "public": self.public, "signature": self.signature}

    def genuine(self) -> bool:
        return signing.verify(self.public, CHECKPOINT, canonical.dumps(self.said), self.signature)


def checkpoint(found: Any, where: errors.Where | None = None) -> Checkpoint:
    """Raises InvalidInput for what is not the ``to_dict`` of one. Its signature is not looked at."""
    try:
        if found["format"] != CHECKPOINT:
            raise ValueError
        made = Checkpoint(
            int(found["seq"]), str(found["hash"]), clock.parse(found["at"]), str(found["public"]),
            str(found["signature"]),
        )  # fmt: skip
        if made.to_dict() != found:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise errors.InvalidInput(
            "This is not a checkpoint", where=where, cure="`doubleloop audit checkpoint --to FILE` writes them."
        ) from None
    return made


def checkpoints(text: str, name: str) -> list[Checkpoint]:
    """Those of a file, one a line. Raises InvalidInput with the line of one that cannot be read."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = errors.Where(name, number)
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            raise errors.InvalidInput("This line is not JSON", where=where) from None
        found.append(checkpoint(content, where))
    return found
