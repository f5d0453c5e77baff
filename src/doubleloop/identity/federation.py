"""Logins by an OpenID Connect provider: begun, finished once, and turned into a user and their groups here.

A login is a row until it is finished or ten minutes old: the state that the provider hands back finds it, and is worth
nothing a second time. People are known by issuer and subject, never by an address or a name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands, oidc, store
from doubleloop.identity.actions import Action

LASTS = timedelta(minutes=10)
# Logins that may be under way at a time: a table that strangers write to is bounded.
MOST = 5000
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Entered:
    """``secret`` is that of a session; ``next`` where the browser wanted to go."""

    user: str
    secret: str
    expires_at: datetime
    next: str


def begin(
    contexts: Contexts,
    gate: actors.Actor,
    provider: oidc.Provider,
    redirect_uri: str,
    *,
    browser: str | None = None,
    challenge: str | None = None,
    next_: str = "/",
) -> tuple[str, str]:
    """The provider's address to send a person to, and the state that comes back from there.

    ``browser``: what binds it to the one that began. ``challenge``: of a program that keeps PKCE's verifier itself;
    else it is made and kept here. Raises InvalidInput for a challenge that is not S256, Unavailable.
    """
    if challenge is not None and not _CHALLENGE.fullmatch(challenge):
        raise errors.InvalidInput("'code_challenge' must be one of PKCE's method S256: 43 characters")
    state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    verifier = None if challenge else secrets.token_urlsafe(48)
    url = provider.authorization_url(
        redirect_uri, state, nonce, challenge or create_s256_code_challenge(verifier or "")
    )  # fmt: skip
    _keep(contexts, gate, state, nonce=nonce, verifier=verifier, redirect_uri=redirect_uri, next=next_,
          browser=_hash(browser) if browser else None)  # fmt: skip
    return url, state


def begin_device(contexts: Contexts, gate: actors.Actor, provider: oidc.Provider) -> tuple[oidc.Device, str]:
    """A code to type elsewhere, and the state to ask with whether it was. Raises NotSupported, Unavailable."""
    device, state = provider.device(), secrets.token_urlsafe(32)
    _keep(contexts, gate, state, device_code=device.device_code, interval=device.interval)
    return device, state


def _keep(contexts: Contexts, gate: actors.Actor, state: str, **values: Any) -> None:
    with contexts.write(gate) as ctx:
        if store.count_logins(ctx) >= MOST:
            raise errors.Unavailable("Too many logins are under way", cure="Try again in a few minutes.")
        store.insert_login(ctx, _hash(state), ctx.now + LASTS, **values)


def finish(
    contexts: Contexts,
    gate: actors.Actor,
    provider: oidc.Provider,
    state: str,
    code: str,
    lifetime: timedelta,
    *,
    browser: str | None = None,
    verifier: str | None = None,
) -> Entered:
    """Take the provider's code for a session. Whatever comes of it, the state is worth nothing afterwards.

    Raises NotAuthenticated for a state that is unknown, old, used or another browser's, and for what ``oidc`` refuses.
    """
    with contexts.write(gate) as ctx:
        login = store.take_login(ctx, _hash(state))
    mine = login is not None and login.browser == (_hash(browser) if browser else None)
    if login is None or not mine or login.nonce is None or (login.verifier is None) == (verifier is None):
        raise errors.NotAuthenticated("This login is not under way", cure="Begin again.")
    tokens = provider.exchange(code, login.redirect_uri, login.verifier or verifier or "")
    return _enter(contexts, gate, provider, tokens, login.nonce, lifetime, login.next)


def finish_device(
    contexts: Contexts, gate: actors.Actor, provider: oidc.Provider, state: str, lifetime: timedelta
) -> Entered | int:
    """The session once the person has agreed; until then how many seconds to wait before asking again."""
    with contexts.write(gate) as ctx:
        login = store.login(ctx, _hash(state))
        if login is None or login.device_code is None:
            raise errors.NotAuthenticated("This login is not under way", cure="Begin again.")
        early = login.asked_at is not None and ctx.now < login.asked_at + timedelta(seconds=login.interval)
        if early:
            return login.interval
        store.note_login_asked(ctx, _hash(state), login.interval)
    try:
        answer = provider.poll(login.device_code)
    except errors.NotAuthenticated:
        with contexts.write(gate) as ctx:
            store.take_login(ctx, _hash(state))
        raise
    if isinstance(answer, str):
        slower = login.interval + (5 if answer == "slow_down" else 0)
        with contexts.write(gate) as ctx:
            store.note_login_asked(ctx, _hash(state), slower)
        return slower
    with contexts.write(gate) as ctx:
        if store.take_login(ctx, _hash(state)) is None:
            raise errors.NotAuthenticated("This login was finished already", cure="Begin again.")
    return _enter(contexts, gate, provider, answer, None, lifetime, "/")


def _enter(
    contexts: Contexts, gate: actors.Actor, provider: oidc.Provider, tokens: oidc.Tokens, nonce: str | None,
    lifetime: timedelta, next_: str,
) -> Entered:  # fmt: skip
    claims = provider.claims(tokens, nonce)
    theirs = provider.groups(claims, tokens)
    with contexts.write(gate) as ctx:
        user = _user(ctx, provider.config, claims)
        _follow(ctx, provider.config, user, theirs)
        secret = commands.open_session(ctx, user, lifetime)
        return Entered(user, secret, ctx.now + lifetime, next_)


def _user(ctx: Ctx, config: oidc.Config, claims: Mapping[str, Any]) -> str:
    subject = str(claims["sub"])
    name = store.linked(ctx, config.issuer, subject)
    if name is None:
        return _create(ctx, config, subject, claims)
    user = store.user(ctx, name)
    if user is None or user.disabled:
        raise errors.NotAuthenticated(f"{name} is disabled")
    if user.is_admin:
        raise errors.NotAuthenticated(f"{name} administers this installation and logs in with a password alone")
    return name


def _create(ctx: Ctx, config: oidc.Config, subject: str, claims: Mapping[str, Any]) -> str:
    who = f"subject {subject[:80]!r} of {config.issuer}"
    if not config.creates_users:
        raise errors.NotAuthenticated(
            f"Nobody here is {who}", cure=f"An administrator runs `doubleloop user link NAME --subject {subject[:80]}`."
        )
    said = claims.get(config.user_claim)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", said if isinstance(said, str) else subject).strip("-._")
    if not ids.is_name(name):
        raise errors.NotAuthenticated(f"No user name can be made of {config.user_claim} of {who}")
    if store.user(ctx, name) is not None:
        raise errors.NotAuthenticated(
            f"A user {name} is here already, who is not {who}",
            cure="If they are the same person, an administrator runs `doubleloop user link`.",
        )
    display = claims.get("name")
    store.insert_user(ctx, name, display[:255] if isinstance(display, str) and display else name, False)
    store.insert_link(ctx, config.issuer, subject, name)
    events.record(ctx, "user.created", f"user:{name}", admin=False, issuer=config.issuer, known_as=subject)
    return name


def _follow(ctx: Ctx, config: oidc.Config, user: str, theirs: frozenset[str]) -> None:
    """Membership of the groups that are mapped is the provider's say; of all others it is not touched."""
    mapped = {ours for _, ours in config.groups}
    wanted = {ours for their, ours in config.groups if their in theirs}
    for group in store.groups(ctx):
        if group.name not in mapped or (user in group.members) == (group.name in wanted):
            continue
        kept = [each for each in group.members if each != user]
        members = tuple(sorted([*kept, user] if group.name in wanted else kept))
        store.put_group(ctx, dataclasses.replace(group, members=members))
        events.record(
            ctx, "group.changed", f"group:{group.name}", persona=group.persona.value, members=list(members),
            workspaces=sorted(group.workspaces), why=f"{config.issuer} says so of {user}", before=group.told(),
        )  # fmt: skip


def link(ctx: Ctx, name: str, issuer: str, subject: str) -> None:
    """Let a person of the provider log in as a user who is here already. Raises NotFound, Conflict, and NotPermitted
    for an administrator of this installation, who logs in with a password alone."""
    commands.permit(ctx, Action.IDENTITY_WRITE)
    user = store.user(ctx, name)
    if user is None:
        raise errors.NotFound(f"No user is named {name}")
    if user.is_admin:
        raise errors.NotPermitted(f"{name} administers this installation and logs in with a password alone")
    if not 0 < len(subject) <= 255:
        raise errors.InvalidInput("'subject' must have 1 to 255 characters")
    other = store.linked(ctx, issuer, subject)
    if other is not None and other != name:
        raise errors.Conflict(f"That subject is {other} already")
    if other is None:
        store.insert_link(ctx, issuer, subject, name)
        events.record(ctx, "user.linked", f"user:{name}", issuer=issuer, known_as=subject)


def unlink(ctx: Ctx, name: str) -> None:
    """No provider's person logs in as this user any more."""
    commands.permit(ctx, Action.IDENTITY_WRITE)
    if store.user(ctx, name) is None:
        raise errors.NotFound(f"No user is named {name}")
    if store.delete_links(ctx, name):
        events.record(ctx, "user.unlinked", f"user:{name}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
