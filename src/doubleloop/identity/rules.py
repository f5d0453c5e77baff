"""What a token is limited to, as pure functions: which actions, where, on what, until when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from doubleloop.base import actors, errors
from doubleloop.identity.actions import Action

READ_ONLY = "read-only"
# What people name one by one, and the actions that concern one of them, by the word before the dot. A role for one
# endpoint has nothing to say of models, although its set of actions has words for them.
KINDS: Mapping[str, frozenset[str]] = {
    "data": frozenset({"data"}),
    "datastore": frozenset({"storage"}),
    "endpoint": frozenset({"endpoint", "log"}),
    "environment": frozenset({"environment"}),
    "job": frozenset({"job", "log"}),
    "model": frozenset({"model"}),
    "monitor": frozenset({"alert", "monitor"}),
    "release-definition": frozenset({"release"}),
    "rule": frozenset({"rule"}),
    "schedule": frozenset({"schedule"}),
    "secret": frozenset({"secret"}),
}
_THING = re.compile(rf"({'|'.join(KINDS)})/[A-Za-z0-9][A-Za-z0-9._-]*")
THING_CURE = f"Name its workspace too, and it as KIND/NAME, of {', '.join(KINDS)}: 'endpoint/bikes'."


def is_thing(workspace: str | None, resource: str) -> bool:
    """Whether it is one thing of a workspace that roles and tokens can be for."""
    return workspace is not None and _THING.fullmatch(resource) is not None


def concerned(action: Action, resource: str | None) -> str | None:
    """``resource`` if ``action`` can be about such a thing; else the question is one about its workspace."""
    if resource is None:
        return None
    words = KINDS.get(resource.partition("/")[0], frozenset())
    return resource if action.value.partition(".")[0] in words else None


def actions(words: Iterable[str] | None) -> frozenset[str] | None:
    """The actions that ``words`` stand for: each itself, ``read-only`` all that only look. None means every action."""
    if words is None:
        return None
    looking = {action.value for action in Action if action.value.endswith(".read")}
    return frozenset().union(*(looking if word == READ_ONLY else {word} for word in words))


def check_scope(words: Sequence[str] | None, workspace: str | None, resource: str | None) -> None:
    """Raises InvalidInput for a limit that is not one."""
    if words is not None and not words:
        raise errors.InvalidInput("A token that allows no action is of no use", cure="Leave 'actions' out for all.")
    known = {READ_ONLY, *(action.value for action in Action)}
    unknown = [word for word in words or () if word not in known]
    if unknown:
        raise errors.InvalidInput(
            f"'{unknown[0][:80]}' is not an action", cure=f"'{READ_ONLY}', or some of {', '.join(Action)}."
        )
    if resource is not None and not is_thing(workspace, resource):
        raise errors.InvalidInput(
            f"'{resource[:80]}' is not one thing of a workspace",
            cure=THING_CURE,
        )


def wider(
    maker: actors.Actor,
    until: datetime | None,
    words: Sequence[str] | None,
    workspace: str | None,
    resource: str | None,
    expires_at: datetime | None,
) -> str | None:
    """In what a new token would reach further than the means of who makes it; None when it does not.

    ``until``: when the maker's own token ends, None for one that does not and for a login.
    """
    wanted = actions(words)
    if maker.workspace not in (None, workspace):
        return f"workspace {maker.workspace} alone"
    if maker.resource not in (None, resource):
        return f"{maker.resource} alone"
    if maker.actions is not None and (wanted is None or not wanted <= maker.actions):
        return f"some actions alone ({', '.join(sorted(maker.actions))})"
    if until is not None and (expires_at is None or expires_at > until):
        return f"the time until {until:%Y-%m-%d %H:%M} alone"
    return None
