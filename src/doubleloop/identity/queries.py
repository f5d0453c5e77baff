"""Looking at users and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doubleloop.db.context import Ctx
from doubleloop.identity import commands, model, store
from doubleloop.identity.actions import Action


def users(ctx: Ctx) -> list[model.User]:
    commands.permit(ctx, Action.IDENTITY_READ)
    return store.users(ctx)


def is_user(ctx: Ctx, name: str) -> bool:
    """Whether somebody has this user name. The caller permits it."""
    return any(each.name == name for each in store.users(ctx))


def tokens(ctx: Ctx, user: str) -> list[model.Token]:
    """Tokens and sessions, without their secrets. One's own, those of a process one owns, or with identity.read."""
    made = store.principal(ctx, user)
    if not commands.is_self(ctx, made.owner if made else user):
        commands.permit(ctx, Action.IDENTITY_READ, made.workspace if made else None)
    return store.tokens(ctx, user)


def wrote(ctx: Ctx, commits: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Users to the hash of a commit that they wrote or committed.

    git knows people by a name and an address: a user is meant whose name, or shown name, is one of the two, or whose
    name stands before the @ of the address. Rather one too many may not approve than one too few.
    """
    found: dict[str, str] = {}
    everybody = store.users(ctx)
    for commit in commits:
        for name, address in commit["people"]:
            said = {name.casefold(), address.casefold(), address.casefold().partition("@")[0]} - {""}
            for user in everybody:
                if said & {user.name.casefold(), user.display_name.casefold()}:
                    found.setdefault(user.name, str(commit["hash"]))
    return found


def groups(ctx: Ctx) -> list[model.Group]:
    commands.permit(ctx, Action.IDENTITY_READ)
    return store.groups(ctx)


def told(ctx: Ctx, personas: Iterable[str], workspace: str | None) -> set[str]:
    """Notification targets of the groups that have one of these personas there. The caller permits it."""
    wanted = set(personas)
    return {
        group.notify for group in store.groups(ctx)
        if group.notify and group.persona.value in wanted and (not group.workspaces or workspace in group.workspaces)
    }  # fmt: skip


def told_of(ctx: Ctx, user: str, workspace: str | None) -> set[str]:
    """Notification targets of the groups that somebody is a member of there. The caller permits it."""
    return {
        group.notify for group in store.groups(ctx)
        if group.notify and user in group.members and (not group.workspaces or workspace in group.workspaces)
    }  # fmt: skip
