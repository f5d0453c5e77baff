"""What a token is limited to, as pure functions: which actions, where, on what, until when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from doubleloop.base import actors, errors
from doubleloop.identity.actions import Action

READ_ONLY = "read-only"
# Endpoints are what commands ask about one by one; a role or token for one of anything else would never count.
_THING = re.compile(r"endpoint/[A-Za-z0-9][A-Za-z0-9._-]*")


def is_thing(workspace: str | None, resource: str) -> bool:
    """Whether it is one thing of a workspace that roles and tokens can be for."""
    return workspace is not None and _THING.fullmatch(resource) is not None


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
            cure="Name its workspace too, and it as 'endpoint/NAME'.",
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
