"""Who acts: every command and query is done by an actor, a person or a process of its own name."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

# What the ids of processes begin with; names of people have no colon.
PREFIX = "service:"


class ActorKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True)
class Actor:
    """``id`` is the name that stands in the record (``ada``, ``service:monitor``).

    ``via`` is the name of the token that was used: ``job:<job>/<step>`` says that a job's code acts for its user.
    ``workspace`` is the only one (beside registries) that the token is good for, ``actions`` and ``resource``
    (``endpoint/bikes``) likewise; None means all. ``token`` is its id.
    """

    id: str
    kind: ActorKind = ActorKind.PERSON
    via: str = ""
    workspace: str | None = None
    actions: frozenset[str] | None = None
    resource: str | None = None
    token: str = field(default="", compare=False)

    @property
    def limited(self) -> bool:
        """Whether the token that was used is good for a part of what its owner may do."""
        return (self.workspace, self.actions, self.resource) != (None, None, None)

    def job(self) -> tuple[str | None, str | None]:
        """The job and step whose code acts, or (None, None)."""
        if not self.via.startswith("job:"):
            return None, None
        job, _, step = self.via.removeprefix("job:").partition("/")
        return job, step or None


def named(id_: str, via: str = "") -> Actor:
    """The actor that stands as ``id_`` in the record: a person, or for ``service:NAME`` a process."""
    return Actor(id_, ActorKind.SERVICE if id_.startswith(PREFIX) else ActorKind.PERSON, via)


def service(name: str) -> Actor:
    """The actor of one of the system's own processes (``service:releases``)."""
    return Actor(f"{PREFIX}{name}", ActorKind.SERVICE)
