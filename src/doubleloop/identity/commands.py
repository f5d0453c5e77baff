"""Permits, logins, tokens, and keeping users and groups as the setup file says."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import argon2
import sqlalchemy as sa

from doubleloop.base import actors, clock, errors, ids
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import deciding, model, policies, ports, roles, rules, services, store
from doubleloop.identity.actions import Action

LOG = logging.getLogger("doubleloop.identity")

# How often the use of a token is noted at most.
NOTED_EVERY = timedelta(minutes=1)
_HASHER = argon2.PasswordHasher()
# A check takes 64 MiB and some tens of milliseconds of a core: strangers must not start any number at once.
_HASHING = threading.BoundedSemaphore(4)
LONGEST_PASSWORD = 1024
# Passwords that were good a moment ago, by a keyed hash over them and the stored hash: a new password, or a user who
# was disabled, is not found there. In memory alone.
_FINGERPRINTS = secrets.token_bytes(32)
_GOOD: dict[bytes, datetime] = {}
MOST_REMEMBERED = 1000
REMEMBERED_FOR = timedelta(minutes=5)
TOKENS_BEGIN = "dl_"


def _hash_of_nothing() -> str:
    """Random bytes in the form of a hash by ``_HASHER``, of no password that anybody knows."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (_HASHER.salt_len, _HASHER.hash_len)
    )
    cost = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v={argon2.low_level.ARGON2_VERSION}${cost}${salt}${digest}"


# Verified against when the user is unknown, so that the answer takes as long as for a known one.
_NOBODY = _hash_of_nothing()


def decide(ctx: Ctx, action: Action, workspace: str | None = None, resource: str | None = None) -> model.Decision:
    """Whether the context's actor may do ``action`` in ``workspace`` (default: the context's).

    ``resource``: the one thing it is about (``endpoint/bikes``; default: what the actor asks about), for assignments
    that name it. Raises NotFound for a workspace that is not there.
    """
    place = workspace or ctx.workspace
    resource = rules.concerned(action, resource or ctx.actor.about) if place else None
    made = store.principal(ctx, ctx.actor.id)
    if ctx.actor.kind is actors.ActorKind.SERVICE and made is None:
        return _of_service(ctx, action, place, resource)
    user = None if made else store.user(ctx, ctx.actor.id)
    who = made or user
    if who is None or who.disabled:
        return model.Decision(False, f"{ctx.actor.id} is not {'in use' if made else 'a user of this installation'}")
    kinds = ctx.port(ports.WorkspaceKinds)
    only = ctx.actor.workspace or (made.workspace if made else None)
    asked = model.Asked(
        made.id if made else f"user:{who.name}", action.value, place, kinds.kind(ctx, place).value if place else None,
        bool(place) and kinds.shared(ctx, str(place)), resource, only, ctx.actor.job() != (None, None),
        ctx.actor.actions, ctx.actor.resource,
    )  # fmt: skip
    groups = store.groups_of(ctx, ctx.actor.id)
    names = [group.name for group in groups]
    given = store.assignments_of(ctx, ctx.actor.id, names)
    text = policies.text(groups, given, store.policies(ctx))
    found = deciding.decide(text, asked, user is not None and user.is_admin, names)
    personas, held = policies.held(found.by, groups, given)
    return dataclasses.replace(found, why=_why(ctx, found, asked, groups), personas=personas, roles=held)


def _of_service(ctx: Ctx, action: Action, place: str | None, resource: str | None) -> model.Decision:
    """A process that is not limited to a workspace is not asked where it is: it may act before there is any."""
    shared = bool(place) and ctx.actor.workspace is not None and ctx.port(ports.WorkspaceKinds).shared(ctx, str(place))
    asked = model.Asked(
        ctx.actor.id, action.value, place, None, shared, resource, ctx.actor.workspace, ctx.actor.job() != (None, None),
        ctx.actor.actions, ctx.actor.resource,
    )  # fmt: skip
    given = store.assignments_of(ctx, ctx.actor.id, ())
    found = deciding.decide(policies.text([], given, store.policies(ctx)), asked, False, ())
    found = dataclasses.replace(found, roles=policies.held(found.by, (), given)[1])
    if not found.allowed and not found.by:
        return dataclasses.replace(found, why=f"{ctx.actor.id} does not have {action}")
    return dataclasses.replace(found, why=_why(ctx, found, asked, ()))


def _why(ctx: Ctx, found: model.Decision, asked: model.Asked, groups: Sequence[model.Group]) -> str:
    """In words that name the place, which a policy's own note cannot know."""
    place = f"{asked.environment or ''} workspace {asked.workspace}".strip() if asked.workspace else "this installation"
    user = ctx.actor.id
    if found.allowed:
        if found.by[0] == policies.ADMINISTRATOR:
            return f"{user} {found.why}"
        return f"{found.why} in {place}" if found.why.startswith("group ") else found.why
    if policies.APPROVING in found.by:
        return f"{user} is a process, and only a person approves"
    if policies.ONE_WORKSPACE in found.by:
        where = f"workspace {asked.workspace}" if asked.workspace else "the whole installation"
        what = f"the token '{ctx.actor.via}'" if ctx.actor.workspace else user
        return f"{what} is for workspace {asked.only} alone, not for {where}"
    if policies.ONE_THING in found.by:
        return f"the token '{ctx.actor.via}' is for {asked.thing} in workspace {asked.only} alone"
    if policies.SOME_ACTIONS in found.by:
        allowed = ", ".join(sorted(asked.granted or ()))
        return f"the token '{ctx.actor.via}' does not allow {asked.action}, only {allowed}"
    if policies.JOB_CODE in found.by:
        return f"this is the code of {ctx.actor.via}, and no job may do {asked.action}, whoever submitted it"
    if found.by:
        return f"policy {', '.join(found.by)} forbids it: {found.why}"
    holds = ", ".join(f"{group.name} ({group.persona})" for group in groups) or "no group"
    return f"{user} belongs to {holds}; none allows {asked.action} in {place}"


def explain(ctx: Ctx, user: str, action: Action, workspace: str | None, resource: str | None = None) -> model.Decision:
    """What ``decide`` would say of ``user``, and why. One's own, or with identity.read."""
    if user != ctx.actor.id:
        permit(ctx, Action.IDENTITY_READ, workspace)
        return decide(ctx.acting_as(actors.named(user)), action, workspace, resource)
    return decide(ctx, action, workspace, resource)


def permit(ctx: Ctx, action: Action, workspace: str | None = None, resource: str | None = None) -> None:
    """Raise NotPermitted unless the actor may. The first line of every command and query."""
    decision = decide(ctx, action, workspace, resource)
    if not decision.allowed:
        raise errors.NotPermitted(
            decision.why,
            cure=_cure(ctx, action, workspace or ctx.workspace),
            details={"action": action.value, "workspace": workspace or ctx.workspace},
        )
    ctx.grants.append(
        actors.Grant(ctx.actor.id, action.value, decision.by, decision.personas, decision.roles)
    )  # fmt: skip


def _cure(ctx: Ctx, action: Action, place: str | None) -> str:
    """What to ask for: another token or an activation of one's own where that would do, else a membership."""
    if ctx.actor.limited and ctx.actor.job() == (None, None):
        whole = dataclasses.replace(ctx.actor, workspace=None, actions=None, resource=None)
        if decide(ctx.acting_as(whole), action, place).allowed:
            return "Its owner may: use a token that is not limited like that."
    for group in store.groups_of(ctx, ctx.actor.id, sleeping=True):
        kind = ctx.port(ports.WorkspaceKinds).kind(ctx, place) if place else None
        may = roles.allowed_actions(group.persona, kind) if kind else roles.everywhere(group.persona)
        if action in may and (not group.workspaces or place in group.workspaces):
            return f"You have that right just in time: `doubleloop role activate group:{group.name} --reason ...`."
    return "Ask for membership of a group whose persona allows it (see `doubleloop role list`)."


def personas(ctx: Ctx, user: str, workspace: str | None) -> set[model.Persona]:
    """The personas that ``user`` holds in ``workspace`` now."""
    return {
        group.persona for group in store.groups_of(ctx, user) if not group.workspaces or workspace in group.workspaces
    }


def memberships(ctx: Ctx, user: str) -> set[str]:
    """The names of the groups that ``user`` is in now."""
    return {group.name for group in store.groups_of(ctx, user)}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def is_self(ctx: Ctx, user: str) -> bool:
    """Whether it is the user in person: neither a job's code nor a limited token stands for all of them."""
    return ctx.actor.id == user and ctx.actor.job() == (None, None) and not ctx.actor.limited


def _spare_administrators(ctx: Ctx, name: str) -> None:
    """Raise NotPermitted when the actor would take an administrator's place without being one."""
    target, user = store.user(ctx, name), store.user(ctx, ctx.actor.id)
    if target is None or not target.is_admin or target.name == ctx.actor.id or ctx.actor.id in services.SERVICES:
        return
    if user is None or not user.is_admin:
        raise errors.NotPermitted(f"{name} administers this installation; only an administrator may do this")


def create_user(ctx: Ctx, name: str, display_name: str = "", *, is_admin: bool = False) -> model.User:
    """A user without a password (cannot log in until one is set). Raises Conflict when the name is taken."""
    permit(ctx, Action.IDENTITY_WRITE)
    if not ids.is_name(name):
        raise errors.InvalidInput(f"'{name[:80]}' cannot be a user name", cure="Use letters, digits, '.', '_' and '-'.")
    if store.user(ctx, name):
        raise errors.Conflict(f"User {name} exists already")
    maker = store.user(ctx, ctx.actor.id)
    if is_admin and not (maker.is_admin if maker else ctx.actor.id in services.SERVICES):
        raise errors.NotPermitted("Only an administrator makes another one")
    store.insert_user(ctx, name, display_name or name, is_admin)
    events.record(ctx, "user.created", f"user:{name}", admin=is_admin)
    user = store.user(ctx, name)
    assert user is not None
    return user


def set_password(ctx: Ctx, name: str, password: str) -> None:
    """Raises InvalidInput for a password under 12 characters."""
    if not is_self(ctx, name):
        permit(ctx, Action.IDENTITY_WRITE)
        _spare_administrators(ctx, name)
    if len(password) < 12:
        raise errors.InvalidInput("The password is too short", cure="Use at least 12 characters.")
    if len(password) > LONGEST_PASSWORD:
        raise errors.InvalidInput(f"The password has more than {LONGEST_PASSWORD} characters")
    if store.user(ctx, name) is None:
        raise errors.NotFound(f"No user is named {name}")
    store.update_user(ctx, name, password_hash=_HASHER.hash(password))
    events.record(ctx, "user.password_set", f"user:{name}")


def refuse_own(
    ctx: Ctx,
    principal: str,
    members: Sequence[str] = (),
    given: Sequence[tuple[frozenset[Action], str | None]] = (),
) -> None:
    """Raise NotPermitted when the actor would raise their own rights. The administrator of the first start may: until
    there is somebody else, nobody else can.

    ``given``: the actions, and where, that it would bring. A process one owns may be given what one may do oneself.
    """
    user = store.user(ctx, ctx.actor.id)
    if (user is not None and user.is_admin) or ctx.actor.id in services.SERVICES:
        return
    groups = {f"group:{group.name}" for group in store.groups(ctx) if ctx.actor.id in group.members}
    me = ctx.actor.id if user is None else f"user:{user.name}"
    if principal in groups | {me} or ctx.actor.id in members:
        raise errors.NotPermitted(f"{ctx.actor.id} would change their own rights", cure="Ask another who may do this.")
    mine = {each.id for each in store.principals(ctx) if each.owner == ctx.actor.id}
    owned = mine & {principal, *members}
    more = not given or any(not decide(ctx, action, place).allowed for actions, place in given for action in actions)
    if owned and more:
        raise errors.NotPermitted(
            f"{ctx.actor.id} would give {', '.join(sorted(owned))}, which is theirs, more than they may do themselves",
            cure="Ask another who may do this.",
        )


def put_group(ctx: Ctx, group: model.Group) -> None:
    """Raises NotFound for members (users, or ``service:NAME``) that are not there."""
    permit(ctx, Action.IDENTITY_WRITE)
    missing = [each for each in group.members if store.user(ctx, each) is None and store.principal(ctx, each) is None]
    if missing:
        raise errors.NotFound(f"Group {group.name} names users that do not exist: {', '.join(missing)}")
    before = next((each for each in store.groups(ctx) if each.name == group.name), None)
    if group == before:
        return
    kinds = ctx.port(ports.WorkspaceKinds)
    given = [(roles.allowed_actions(group.persona, kinds.kind(ctx, each)), each) for each in group.workspaces]
    refuse_own(ctx, f"group:{group.name}", group.members, given)
    store.put_group(ctx, group)
    events.record(ctx, "group.changed", f"group:{group.name}", **group.told(), before=before and before.told())


def create_token(
    ctx: Ctx,
    user: str,
    name: str,
    *,
    lifetime: timedelta | None = None,
    workspace: str | None = None,
    actions: Sequence[str] | None = None,
    resource: str | None = None,
) -> tuple[model.Token, str]:
    """A new token of ``user`` and its secret, which is kept nowhere. One's own, that of a process one owns, or with
    identity.write. It may be limited to a workspace, to ``actions`` (or ``read-only``), to one thing of the workspace.

    On a job's behalf only that job's own token is made: its code cannot get one that may do more. Nor does any token
    make one that reaches further than itself. Raises NotPermitted, NotFound, InvalidInput for a limit that is not one.
    """
    of_job = (
        ctx.actor.id == user
        and ctx.actor.via == name
        and ctx.actor.job() != (None, None)
        and workspace is not None
        and ctx.actor.workspace in (None, workspace)
    )
    made = store.principal(ctx, user)
    if not of_job and not is_self(ctx, made.owner if made else user):
        permit(ctx, Action.IDENTITY_WRITE, made.workspace if made else None)
        _spare_administrators(ctx, user)
    if made is None and store.user(ctx, user) is None and user not in services.SERVICES:
        raise errors.NotFound(f"No user is named {user}")
    workspace = _within(made, workspace)
    rules.check_scope(actions, workspace, resource)
    until = ctx.now + lifetime if lifetime else None
    kind = model.TokenKind.JOB if of_job else model.TokenKind.TOKEN
    token = model.Token(
        ids.new_id("token"), user, name, workspace, until, ctx.now, kind, tuple(actions) if actions else None, resource,
        ctx.actor.id,
    )  # fmt: skip
    _refuse_wider(ctx, token)
    return token, _keep(ctx, token)


def _refuse_wider(ctx: Ctx, token: model.Token) -> None:
    """A token cannot be exchanged for one that may do more, or does so for longer; a login may be for any."""
    means = store.token(ctx, ctx.actor.token) if ctx.actor.token else None
    until = means.expires_at if means and means.kind is model.TokenKind.TOKEN else None
    alone = rules.wider(ctx.actor, until, token.actions, token.workspace, token.resource, token.expires_at)
    if alone is not None:
        raise errors.NotPermitted(
            f"The token '{ctx.actor.via}' is for {alone}, and makes none that reaches further",
            cure="Limit the new one likewise, or log in.",
        )


def _keep(ctx: Ctx, token: model.Token) -> str:
    secret = f"{TOKENS_BEGIN}{secrets.token_urlsafe(32)}"
    store.insert_token(ctx, token, _hash(secret))
    events.record(
        ctx, "token.created", f"token:{token.id}", user=token.user, name=token.name, workspace=token.workspace,
        actions=token.actions, resource=token.resource, kind=token.kind.value,
        expires_at=token.expires_at and clock.iso(token.expires_at),
    )  # fmt: skip
    return secret


def _within(made: model.Principal | None, workspace: str | None) -> str | None:
    """The workspace that a token is limited to: a process that belongs to one has tokens for that one alone."""
    if made is None or made.workspace is None:
        return workspace
    if workspace not in (None, made.workspace):
        raise errors.InvalidInput(f"{made.id} belongs to workspace {made.workspace} and has no token for {workspace}")
    return made.workspace


def revoke_token(ctx: Ctx, id_: str) -> None:
    """One's own, that of a process one owns, or with identity.write; a job's also by the process that runs jobs."""
    found = store.token(ctx, id_)
    of_job = found is not None and found.kind is model.TokenKind.JOB and ctx.actor.id == services.JOBS
    if not of_job:
        _answers_for(ctx, found.user if found else None)
    if found and store.delete_token(ctx, id_):
        events.record(ctx, "token.revoked", f"token:{id_}", user=found.user, name=found.name)


def revoke_tokens(ctx: Ctx, user: str) -> int:
    """All tokens and sessions of a user or process; returns how many there were. Raises as ``revoke_token``."""
    _answers_for(ctx, user)
    if store.user(ctx, user) is None and store.principal(ctx, user) is None and user not in services.SERVICES:
        raise errors.NotFound(f"Neither a user nor a process is named {user}")
    found = store.tokens(ctx, user)
    for each in found:
        store.delete_token(ctx, each.id)
        events.record(ctx, "token.revoked", f"token:{each.id}", user=user, name=each.name)
    return len(found)


def _answers_for(ctx: Ctx, user: str | None) -> None:
    """Raise NotPermitted unless the actor is the user, owns the process, or may change identities."""
    made = store.principal(ctx, user or "")
    if user is None or not is_self(ctx, made.owner if made else user):
        permit(ctx, Action.IDENTITY_WRITE, made.workspace if made else None)
        _spare_administrators(ctx, user or "")


def disable_user(ctx: Ctx, name: str, disabled: bool) -> model.User:
    """A disabled user's sessions end, and their tokens stop until they are enabled. Raises NotFound, and Conflict for
    oneself."""
    permit(ctx, Action.IDENTITY_WRITE)
    user = store.user(ctx, name)
    if user is None:
        raise errors.NotFound(f"No user is named {name}")
    if name == ctx.actor.id:
        raise errors.Conflict(f"User {name} would disable themselves", cure="Ask another who may do this.")
    _spare_administrators(ctx, name)
    if user.disabled != disabled:
        store.update_user(ctx, name, disabled=disabled)
        events.record(ctx, "user.disabled" if disabled else "user.enabled", f"user:{name}")
    if disabled:
        for session in (each for each in store.tokens(ctx, name) if each.kind is model.TokenKind.SESSION):
            store.delete_token(ctx, session.id)
    return dataclasses.replace(user, disabled=disabled)


def end_session(ctx: Ctx, secret: str) -> None:
    """Log out: forget the caller's own token."""
    token = store.token_by_hash(ctx, _hash(secret), ctx.now)
    if token and token.user == ctx.actor.id:
        store.delete_token(ctx, token.id)
        events.record(ctx, "session.ended", f"user:{token.user}")


def authenticate(ctx: Ctx, secret: str) -> actors.Actor:
    """The actor behind a token or session. Raises NotAuthenticated."""
    return _authenticated(ctx, secret)[0]


def _authenticated(ctx: Ctx, secret: str) -> tuple[actors.Actor, model.Token]:
    token = store.token_by_hash(ctx, _hash(secret), ctx.now)
    if token is None:
        raise errors.NotAuthenticated("The token is unknown or has expired", cure="Log in again: `doubleloop login`.")
    if token.user.startswith(actors.PREFIX):
        made = store.principal(ctx, token.user)
        disabled = made.disabled if made else token.user not in services.SERVICES
    else:
        user = store.user(ctx, token.user)
        disabled = user is None or user.disabled
    if disabled:
        raise errors.NotAuthenticated(f"{token.user} is disabled")
    actor = dataclasses.replace(
        actors.named(token.user, token.name), workspace=token.workspace, actions=rules.actions(token.actions),
        resource=token.resource, token=token.id, login=token.kind.value,
    )  # fmt: skip
    return actor, token


def admit(contexts: Contexts, gate: actors.Actor, secret: str) -> actors.Actor:
    """As ``authenticate``, and notes when the token was used, at most once in NOTED_EVERY."""
    with contexts.read(gate) as ctx:
        actor, token = _authenticated(ctx, secret)
        due = token.last_used_at is None or token.last_used_at <= ctx.now - NOTED_EVERY
    if due:
        try:
            with contexts.write(gate) as ctx:
                store.touch_token(ctx, token.id, ctx.now - NOTED_EVERY)
        except sa.exc.OperationalError:  # a busy database: another use will be noted
            LOG.info("the use of token %s could not be noted now", token.id)
    return actor


def check_password(ctx: Ctx, name: str, password: str, *, again: bool = False) -> actors.Actor:
    """Who has that name and password. Raises NotAuthenticated, always in the same words and after as much work: whether
    there is such a user, whether they are disabled or have no password is not told.

    ``again``: it comes with each of many requests; what was found good a moment ago is not hashed anew.
    """
    known = store.password_hash(ctx, name)
    fingerprint = hmac.digest(_FINGERPRINTS, f"{known}\0{password}".encode(), "sha256")
    if again and known is not None and _GOOD.get(fingerprint, ctx.now) > ctx.now:
        return actors.Actor(name)
    try:
        with _HASHING:
            _HASHER.verify(known or _NOBODY, password[:LONGEST_PASSWORD])
        matches = known is not None and len(password) <= LONGEST_PASSWORD
    except argon2.exceptions.VerificationError:
        matches = False
    if not matches:
        raise errors.NotAuthenticated("User name or password is wrong")
    if again:
        if len(_GOOD) > MOST_REMEMBERED:
            _GOOD.clear()
        _GOOD[fingerprint] = ctx.now + REMEMBERED_FOR
    return actors.Actor(name)


def login(ctx: Ctx, name: str, password: str, lifetime: timedelta) -> tuple[actors.Actor, str]:
    """Check a password and open a session; returns its secret. Raises as ``check_password``."""
    actor = check_password(ctx, name, password)
    return actor, open_session(ctx, name, lifetime)


def open_session(ctx: Ctx, name: str, lifetime: timedelta) -> str:
    """The secret of a session of a user who has proved who they are."""
    acting = ctx.acting_as(actors.Actor(name))
    until = ctx.now + lifetime
    return _keep(
        acting,
        model.Token(
            ids.new_id("token"), name, "session", None, until, ctx.now, model.TokenKind.SESSION, created_by=name
        ),
    )
