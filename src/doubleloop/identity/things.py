"""Rights to single things where many are listed: which of them somebody sees, and whether there can be any."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.identity import commands, store
from doubleloop.identity.actions import Action

_IN_CEDAR = re.compile(r'Doubleloop::Item::"([^"]*)"')


def permit_some(ctx: Ctx, action: Action, kind: str) -> None:
    """Raise NotPermitted unless the actor may do ``action`` in the workspace, or to some thing of ``kind`` there."""
    ctx = _at_large(ctx)
    if not commands.decide(ctx, action).allowed and not _allowed(ctx, action, kind):
        commands.permit(ctx, action)


def seen(ctx: Ctx, action: Action, kind: str) -> Callable[[str], bool]:
    """For lists: which names of ``kind`` the actor may do ``action`` to. Raises NotPermitted where it is none."""
    ctx = _at_large(ctx)
    if not commands.decide(ctx, action).allowed:
        permit_some(ctx, action, kind)
        return _allowed(ctx, action, kind).__contains__
    kept_from = _named(ctx, kind) - _allowed(ctx, action, kind)  # by a policy of this installation
    return lambda name: name not in kept_from


def sees_all(ctx: Ctx, action: Action, kind: str) -> bool:
    """Whether nothing of ``kind`` is kept from the actor: then a list need not be looked through."""
    ctx = _at_large(ctx)
    return commands.decide(ctx, action).allowed and _named(ctx, kind) == _allowed(ctx, action, kind)


def known(ctx: Ctx, action: Action, kind: str, names: Iterable[str]) -> str:
    """The cure for a name that is not there: those of ``names`` that the actor may do ``action`` to, and no others."""
    try:
        sees = seen(ctx, action, kind)
    except errors.NotPermitted:
        return ""
    return f"There are: {', '.join(name for name in names if sees(name)) or 'none yet'}."


def _at_large(ctx: Ctx) -> Ctx:
    """A right to the one thing that a request is about is none to its neighbours."""
    return ctx.acting_as(dataclasses.replace(ctx.actor, about=None))


def _allowed(ctx: Ctx, action: Action, kind: str) -> frozenset[str]:
    return frozenset(
        name for name in _named(ctx, kind) if commands.decide(ctx, action, resource=f"{kind}/{name}").allowed
    )


def _named(ctx: Ctx, kind: str) -> frozenset[str]:
    """What an assignment, the token or a policy says something of, one by one; of all else it is said by workspace."""
    groups = [group.name for group in store.groups_of(ctx, ctx.actor.id)]
    things = {
        each.resource for each in store.assignments_of(ctx, ctx.actor.id, groups) if each.workspace == ctx.workspace
    } | {ctx.actor.resource}
    for text in store.policies(ctx):
        things |= {
            found.removeprefix(f"{ctx.workspace}/") for found in _IN_CEDAR.findall(text)
            if found.startswith(f"{ctx.workspace}/")
        }  # fmt: skip
    return frozenset(each.removeprefix(f"{kind}/") for each in things if each and each.startswith(f"{kind}/"))
