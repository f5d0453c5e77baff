"""Who acts: every command and query is done by an actor, a person or a process of its own name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True)
class Actor:
    """``id`` is the name that stands in the record (``ada``, ``service:monitor``)."""

    id: str
    kind: ActorKind = ActorKind.PERSON


def service(name: str) -> Actor:
    """The actor of one of the system's own processes (``service:releases``)."""
    return Actor(f"service:{name}", ActorKind.SERVICE)
