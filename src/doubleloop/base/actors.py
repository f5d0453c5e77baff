"""Who acts: every command and query is done by an actor, a person or a process of its own name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

# What the ids of processes begin with; names of people have no colon.
PREFIX = "service:"


# Characters of a client's description of itself, and of a reason, that are kept.
MOST_TEXT = 300
# The header that says why somebody does something, percent-encoded UTF-8.
REASON = "doubleloop-reason"


class ActorKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True)
class Grant:
    """That ``actor`` was permitted ``action``: ``by`` are the ids of the policies that decided."""

    actor: str
    action: str
    by: tuple[str, ...]
    personas: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where a request came from. ``door`` is ``api``, ``console`` or ``mlflow``; ``address`` that of the other end of
    the connection; ``agent`` and ``reason`` are what the client said. ``grants``: what was permitted meanwhile.

    The action of a rule comes by the door ``rule``; ``cause`` is the fact that it answers.
    """

    door: str
    address: str
    agent: str = ""
    reason: str = ""
    grants: list[Grant] = field(default_factory=list)
    cause: int = 0


def origin(door: str, address: str | None, headers: Mapping[str, str]) -> Origin:
    """``headers``: their names in small letters. Nothing that a client says of its own address counts."""
    reason = unquote(headers.get(REASON, "")[: 9 * MOST_TEXT])
    return Origin(door, address or "", _line(headers.get("user-agent", "")), _line(reason))


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)[:MOST_TEXT]


@dataclass(frozen=True)
class Actor:
    """``id`` is the name that stands in the record (``ada``, ``service:monitor``).

    ``via`` is the name of the token that was used: ``job:<job>/<step>`` says that a job's code acts for its user.
    ``workspace`` is the only one (beside registries) that the token is good for, ``actions`` and ``resource``
    (``endpoint/bikes``) likewise; None means all. ``token`` is its id, ``login`` its kind (``session``, ``token``,
    ``job``). ``origin`` is None for what the system does by itself,
    ``about`` the one thing that is asked about.
    """

    id: str
    kind: ActorKind = ActorKind.PERSON
    via: str = ""
    workspace: str | None = None
    actions: frozenset[str] | None = None
    resource: str | None = None
    token: str = field(default="", compare=False)
    login: str = field(default="", compare=False)
    origin: Origin | None = field(default=None, compare=False, repr=False)
    about: str | None = field(default=None, compare=False)

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
