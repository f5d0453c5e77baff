"""Logins, tokens, users, and processes that people make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import OPEN, OWN, needs
from doubleloop.base import errors
from doubleloop.identity import commands as identity
from doubleloop.identity import principals
from doubleloop.identity import queries as identities
from doubleloop.identity import store as users
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1")

LONGEST_LIFETIME = 100 * 366 * 86400


@router.post("/login", openapi_extra=needs(OPEN))
def login(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "user", "password")
    lifetime = timedelta(hours=requests.settings(request).session_hours)
    with requests.contexts(request).write(requests.GATE) as ctx:
        actor, secret = identity.login(ctx, requests.text(body, "user"), requests.text(body, "password"), lifetime)
        return {"token": secret, "user": actor.id, "expires_at": render.plain(ctx.now + lifetime)}


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
