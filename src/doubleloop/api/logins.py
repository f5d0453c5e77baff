"""Logins, tokens, users, and processes that people make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import OPEN, OWN, needs
from doubleloop.base import actors, errors
from doubleloop.identity import commands as identity
from doubleloop.identity import federation, oidc, principals
from doubleloop.identity import queries as identities
from doubleloop.identity import store as users
from doubleloop.identity.actions import Action
from doubleloop.identity.limits import Limiter
from doubleloop.identity.model import Persona
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1")

LONGEST_LIFETIME = 100 * 366 * 86400


@router.post("/login", openapi_extra=needs(OPEN))
def login(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "user", "password")
    user = request.state.claimed = requests.text(body, "user")
    lifetime, contexts = _session(request), requests.contexts(request)
    check_password(request, user, requests.text(body, "password"))
    with contexts.write(requests.gate(request)) as ctx:
        secret = identity.open_session(ctx, user, lifetime)
        return {"token": secret, "user": user, "expires_at": render.plain(ctx.now + lifetime)}


def check_password(request: Request, user: str, password: str) -> actors.Actor:
    """Outside of any writing: a guess must not make others wait. Raises NotAuthenticated, TooManyTries."""
    contexts = requests.contexts(request)
    limiter: Limiter = request.app.state.limiter
    gate = requests.gate(request)
    with limiter.counting(user, requests.address(request), contexts.now()), contexts.read(gate) as ctx:
        return identity.check_password(ctx, user, password)


@router.post("/login/oidc", openapi_extra=needs(OPEN))
def begin_oidc(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """For a program on the person's own machine: the provider sends its browser to a port that it listens on."""
    requests.refuse_unknown(body, "redirect_uri", "code_challenge")
    provider, target = oidc.of(requests.settings(request)), requests.text(body, "redirect_uri")
    if not _is_own_machine(target):
        raise errors.InvalidInput("'redirect_uri' must be http://127.0.0.1:PORT/…", cure="Listen on a loopback port.")
    url, state = federation.begin(
        requests.contexts(request),
        requests.gate(request),
        provider,
        target,
        challenge=requests.text(body, "code_challenge") or "none",
    )
    lasts = int(federation.LASTS.total_seconds())
    return {"url": url, "state": state, "expires_in": lasts, "device": provider.offers_devices()}


def _is_own_machine(target: str) -> bool:
    try:
        parts = urlsplit(target)
        return parts.scheme == "http" and parts.port is not None and oidc.is_loopback(parts.hostname)
    except ValueError:
        return False


@router.post("/login/oidc/finish", openapi_extra=needs(OPEN))
def finish_oidc(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "state", "code", "code_verifier")
    entered = federation.finish(
        requests.contexts(request), requests.gate(request), oidc.of(requests.settings(request)),
        requests.text(body, "state"), requests.text(body, "code"), _session(request),
        verifier=requests.text(body, "code_verifier") or None,
    )  # fmt: skip
    return _entered(entered)


@router.post("/login/oidc/device", openapi_extra=needs(OPEN))
def begin_device(request: Request) -> dict[str, Any]:
    device, state = federation.begin_device(
        requests.contexts(request), requests.gate(request), oidc.of(requests.settings(request))
    )  # fmt: skip
    shown = render.plain(device)
    return {"state": state, **{key: value for key, value in shown.items() if key != "device_code"}}


@router.post("/login/oidc/device/finish", openapi_extra=needs(OPEN))
def finish_device(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "state")
    found = federation.finish_device(
        requests.contexts(request), requests.gate(request), oidc.of(requests.settings(request)),
        requests.text(body, "state"), _session(request),
    )  # fmt: skip
    return {"waiting": True, "interval": found} if isinstance(found, int) else _entered(found)


def _session(request: Request) -> timedelta:
    return timedelta(hours=requests.settings(request).session_hours)


def _entered(entered: federation.Entered) -> dict[str, Any]:
    return {"token": entered.secret, "user": entered.user, "expires_at": render.plain(entered.expires_at)}


@router.post("/logout", openapi_extra=needs(OWN))
def logout(request: Request) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        identity.end_session(ctx, requests.secret_of(request) or "")
    return {}


@router.get("/tokens", openapi_extra=needs(OWN))
def list_tokens(request: Request, user: str | None = None) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(identities.tokens(ctx, user or ctx.actor.id), render.plain)


@router.post("/tokens", openapi_extra=needs(Action.IDENTITY_WRITE))
def create_token(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "name", "user", "workspace", "lifetime", "actions", "resource")
    lifetime = _lifetime(body.get("lifetime"))
    actions = requests.value(body, "actions", list)
    if actions is not None and not all(isinstance(each, str) for each in actions):
        raise errors.InvalidInput("'actions' must be a list of texts")
    with requests.writing(request) as ctx:
        owner = requests.text(body, "user", ctx.actor.id)
        name = requests.text(body, "name", "token")
        if name.startswith("job:"):
            raise errors.InvalidInput("Names that begin with 'job:' belong to the tokens of jobs")
        workspace = requests.value(body, "workspace", str)
        if workspace is not None:
            workspaces.get(ctx, workspace)
        token, secret = identity.create_token(
            ctx, owner, name, lifetime=lifetime, workspace=workspace, actions=actions,
            resource=requests.value(body, "resource", str),
        )  # fmt: skip
        return {**render.plain(token), "token": secret}


def _lifetime(seconds: Any) -> timedelta | None:
    """Raises InvalidInput unless it is left out or a number of seconds up to LONGEST_LIFETIME."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_LIFETIME:
        raise errors.InvalidInput("'lifetime' must be seconds, more than 0 and at most a hundred years")
    return timedelta(seconds=seconds)


@router.delete("/tokens/{id}", openapi_extra=needs(Action.IDENTITY_WRITE))
def revoke_token(request: Request, id: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        identity.revoke_token(ctx, id)
    return {}


@router.delete("/users/{name}/tokens", openapi_extra=needs(Action.IDENTITY_WRITE))
def revoke_tokens(request: Request, name: str) -> dict[str, Any]:
    """Of a user, or of ``service:NAME``."""
    with requests.writing(request) as ctx:
        return {"revoked": identity.revoke_tokens(ctx, name)}


@router.get("/me", openapi_extra=needs(OWN))
def me(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        user = users.user(ctx, ctx.actor.id)
        groups = [each for each in users.groups(ctx) if ctx.actor.id in each.members]
    return {
        "user": ctx.actor.id, "display_name": user.display_name if user else ctx.actor.id,
        "is_admin": bool(user and user.is_admin),
        "groups": [{"name": g.name, "persona": g.persona.value, "workspaces": list(g.workspaces)} for g in groups],
    }  # fmt: skip


@router.get("/users", openapi_extra=needs(Action.IDENTITY_READ))
def list_users(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(identities.users(ctx), render.user)


@router.post("/users", openapi_extra=needs(Action.IDENTITY_WRITE))
def create_user(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "name", "display_name", "password", "is_admin")
    with requests.writing(request) as ctx:
        user = identity.create_user(
            ctx,
            requests.text(body, "name"),
            requests.text(body, "display_name"),
            is_admin=bool(requests.value(body, "is_admin", bool)),
        )
        if body.get("password") is not None:
            identity.set_password(ctx, user.name, requests.text(body, "password"))
        return render.user(user)


@router.put("/users/{name}/password", openapi_extra=needs(Action.IDENTITY_WRITE))
def set_password(request: Request, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "password")
    with requests.writing(request) as ctx:
        identity.set_password(ctx, name, requests.text(body, "password"))
    return {}


@router.put("/users/{name}/identity", openapi_extra=needs(Action.IDENTITY_WRITE))
def link_user(request: Request, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "subject", "issuer")
    with requests.writing(request) as ctx:
        issuer = requests.text(body, "issuer") or requests.settings(request).oidc_issuer
        federation.link(ctx, name, issuer, requests.text(body, "subject"))
    return {}


@router.delete("/users/{name}/identity", openapi_extra=needs(Action.IDENTITY_WRITE))
def unlink_user(request: Request, name: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        federation.unlink(ctx, name)
    return {}


@router.post("/users/{name}/disable", openapi_extra=needs(Action.IDENTITY_WRITE))
def disable_user(request: Request, name: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        return render.user(identity.disable_user(ctx, name, True))


@router.post("/users/{name}/enable", openapi_extra=needs(Action.IDENTITY_WRITE))
def enable_user(request: Request, name: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        return render.user(identity.disable_user(ctx, name, False))


@router.get("/principals", openapi_extra=needs(OWN))
def list_principals(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(principals.list_(ctx), render.plain)


@router.post("/principals", openapi_extra=needs(Action.IDENTITY_WRITE))
def create_principal(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "name", "description", "workspace", "owner", "role", "persona")
    persona = requests.value(body, "persona", str)
    if persona is not None and persona not in list(Persona):
        raise errors.InvalidInput(f"'{persona[:80]}' is not a persona", cure=f"One of {', '.join(Persona)}.")
    with requests.writing(request) as ctx:
        made = principals.create(
            ctx, requests.text(body, "name"), description=requests.text(body, "description"),
            workspace=requests.value(body, "workspace", str), owner=requests.value(body, "owner", str),
            role=requests.value(body, "role", str), persona=Persona(persona) if persona else None,
        )  # fmt: skip
        return dict(render.plain(principals.show(ctx, made.name)))


@router.get("/principals/{name}", openapi_extra=needs(Action.IDENTITY_READ))
def show_principal(request: Request, name: str) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return dict(render.plain(principals.show(ctx, name)))


@router.delete("/principals/{name}", openapi_extra=needs(Action.IDENTITY_WRITE))
def delete_principal(request: Request, name: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        principals.delete(ctx, name)
    return {}


@router.post("/principals/{name}/disable", openapi_extra=needs(Action.IDENTITY_WRITE))
def disable_principal(request: Request, name: str) -> dict[str, Any]:
    return _set_disabled(request, name, True)


@router.post("/principals/{name}/enable", openapi_extra=needs(Action.IDENTITY_WRITE))
def enable_principal(request: Request, name: str) -> dict[str, Any]:
    return _set_disabled(request, name, False)


def _set_disabled(request: Request, name: str, disabled: bool) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        principals.set_disabled(ctx, name, disabled)
        return dict(render.plain(principals.show(ctx, name)))
