"""Permits, logins, tokens, and keeping users and groups as the setup file says."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

import argon2

from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import model, ports, rules, store
from doubleloop.identity.actions import Action

_HASHER = argon2.PasswordHasher()
# Verified against when the user is unknown, so that the answer takes as long as for a known one.
_NOBODY = _HASHER.hash(secrets.token_hex(16))


def decide(ctx: Ctx, action: Action, workspace: str | None = None) -> model.Decision:
    """Whether the context's actor may do ``action`` in ``workspace`` (default: the context's)."""
    place = workspace or ctx.workspace
    limit = rules.limit(ctx.actor.via, ctx.actor.workspace, action, place, shared=_shared(ctx, place))
    if limit is not None:
        return limit
    if ctx.actor.kind is actors.ActorKind.SERVICE:
        allowed = action in rules.SERVICES.get(ctx.actor.id, frozenset())
        return model.Decision(allowed, f"{ctx.actor.id} {'has' if allowed else 'does not have'} {action}")
    user = store.user(ctx, ctx.actor.id)
    if user is None or user.disabled:
        return model.Decision(False, f"{ctx.actor.id} is not a user of this installation")
    kind = ctx.port(ports.WorkspaceKinds).kind(ctx, place) if place else None
    return rules.decide(
        user.name, user.is_admin, store.groups(ctx), action, place, kind, shared=_shared(ctx, place)
    )  # fmt: skip


def _shared(ctx: Ctx, place: str | None) -> bool:
    """Whether it is a registry; services that are not limited to a workspace are not asked where they are."""
    if not place or (ctx.actor.kind is actors.ActorKind.SERVICE and ctx.actor.workspace is None):
        return False
    return ctx.port(ports.WorkspaceKinds).shared(ctx, place)


def explain(ctx: Ctx, user: str, action: Action, workspace: str | None) -> model.Decision:
    """What ``decide`` would say of ``user``, and why. One's own, or with identity.read."""
    if user != ctx.actor.id:
        permit(ctx, Action.IDENTITY_READ, workspace)
        return decide(ctx.acting_as(actors.Actor(user)), action, workspace)
    return decide(ctx, action, workspace)


def permit(ctx: Ctx, action: Action, workspace: str | None = None) -> None:
    """Raise NotPermitted unless the actor may. The first line of every command and query."""
    decision = decide(ctx, action, workspace)
    if not decision.allowed:
        raise errors.NotPermitted(
            decision.why,
            cure="Ask for membership of a group whose persona allows it (see `doubleloop role list`).",
            details={"action": action.value, "workspace": workspace or ctx.workspace},
        )


def personas(ctx: Ctx, user: str, workspace: str | None) -> set[model.Persona]:
    """The personas that ``user`` holds in ``workspace``."""
    return {
        group.persona
        for group in store.groups(ctx)
        if user in group.members and (not group.workspaces or workspace in group.workspaces)
    }


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_self(ctx: Ctx, user: str) -> bool:
    """Whether it is the user in person: neither a job's code nor a token for one workspace stands for all of them."""
    return ctx.actor.id == user and ctx.actor.job() == (None, None) and ctx.actor.workspace is None


def create_user(ctx: Ctx, name: str, display_name: str = "", *, is_admin: bool = False) -> model.User:
    """A user without a password (cannot log in until one is set). Raises Conflict when the name is taken."""
    permit(ctx, Action.IDENTITY_WRITE)
    if not ids.is_name(name):
        raise errors.InvalidInput(f"'{name}' cannot be a user name", cure="Use letters, digits, '.', '_' and '-'.")
    if store.user(ctx, name):
        raise errors.Conflict(f"User {name} exists already")
    store.insert_user(ctx, name, display_name or name, is_admin)
    events.record(ctx, "user.created", f"user:{name}", admin=is_admin)
    user = store.user(ctx, name)
    assert user is not None
    return user


def set_password(ctx: Ctx, name: str, password: str) -> None:
    """Raises InvalidInput for a password under 12 characters."""
    if not _is_self(ctx, name):
        permit(ctx, Action.IDENTITY_WRITE)
    if len(password) < 12:
        raise errors.InvalidInput("The password is too short", cure="Use at least 12 characters.")
    if store.user(ctx, name) is None:
        raise errors.NotFound(f"No user is named {name}")
    store.update_user(ctx, name, password_hash=_HASHER.hash(password))
    events.record(ctx, "user.password_set", f"user:{name}")


def put_group(ctx: Ctx, group: model.Group) -> None:
    permit(ctx, Action.IDENTITY_WRITE)
    missing = [member for member in group.members if store.user(ctx, member) is None]
    if missing:
        raise errors.NotFound(f"Group {group.name} names users that do not exist: {', '.join(missing)}")
    if group in store.groups(ctx):
        return
    store.put_group(ctx, group)
    events.record(
        ctx, "group.changed", f"group:{group.name}", persona=group.persona.value, members=sorted(group.members),
        workspaces=sorted(group.workspaces),
    )  # fmt: skip


def create_token(
    ctx: Ctx, user: str, name: str, *, lifetime: timedelta | None = None, workspace: str | None = None
) -> tuple[model.Token, str]:
    """A new token of ``user`` and its secret, which is kept nowhere. One's own, or with identity.write.

    On a job's behalf only that job's own token is made: its code cannot get one that may do more.
    """
    of_job = (
        ctx.actor.id == user
        and ctx.actor.via == name
        and workspace is not None
        and ctx.actor.workspace in (None, workspace)
    )
    if not of_job and not _is_self(ctx, user):
        permit(ctx, Action.IDENTITY_WRITE)
    if store.user(ctx, user) is None and user not in rules.SERVICES:
        raise errors.NotFound(f"No user is named {user}")
    secret = f"dl_{secrets.token_urlsafe(32)}"
    token = model.Token(ids.new_id("token"), user, name, workspace, ctx.now + lifetime if lifetime else None, ctx.now)
    store.insert_token(ctx, token, _hash(secret))
    events.record(ctx, "token.created", f"token:{token.id}", user=user, name=name)
    return token, secret


def revoke_token(ctx: Ctx, id_: str) -> None:
    """One's own, or with identity.write."""
    owner = store.token_owner(ctx, id_)
    if owner is None or not _is_self(ctx, owner):
        permit(ctx, Action.IDENTITY_WRITE)
    if store.delete_token(ctx, id_):
        events.record(ctx, "token.revoked", f"token:{id_}")


def end_session(ctx: Ctx, secret: str) -> None:
    """Log out: forget the caller's own token."""
    token = store.token_by_hash(ctx, _hash(secret), ctx.now)
    if token and token.user == ctx.actor.id:
        store.delete_token(ctx, token.id)
        events.record(ctx, "session.ended", f"user:{token.user}")


def authenticate(ctx: Ctx, secret: str) -> actors.Actor:
    """The actor behind a token or session. Raises NotAuthenticated."""
    token = store.token_by_hash(ctx, _hash(secret), ctx.now)
    if token is None:
        raise errors.NotAuthenticated("The token is unknown or has expired", cure="Log in again: `doubleloop login`.")
    if token.user.startswith("service:"):
        return actors.Actor(token.user, actors.ActorKind.SERVICE, token.name, token.workspace)
    user = store.user(ctx, token.user)
    if user is None or user.disabled:
        raise errors.NotAuthenticated(f"User {token.user} is disabled")
    return actors.Actor(user.name, via=token.name, workspace=token.workspace)


def login(ctx: Ctx, name: str, password: str, lifetime: timedelta) -> tuple[actors.Actor, str]:
    """Check a password and open a session; returns its secret. Raises NotAuthenticated, always the same words."""
    known = store.password_hash(ctx, name)
    try:
        _HASHER.verify(known or _NOBODY, password)
        matches = known is not None
    except argon2.exceptions.VerificationError:
        matches = False
    if not matches:
        raise errors.NotAuthenticated("User name or password is wrong")
    actor = actors.Actor(name)
    _, secret = create_token(ctx.acting_as(actor), name, "session", lifetime=lifetime)
    return actor, secret
