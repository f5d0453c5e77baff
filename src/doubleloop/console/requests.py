"""What every page needs: who looks, a context for them, proof that a form was ours, the record of a refusal."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity import strangers
from doubleloop.identity.actions import Action
from doubleloop.secrets import ports as secrets
from doubleloop.settings.model import Settings
from doubleloop.workspaces import queries as workspaces
from doubleloop.workspaces.model import REGISTRY

GATE = actors.service("gate")
# The API takes the same cookie.
SESSION_COOKIE = "doubleloop_session"
# Binds the login form to a browser before there is a session.
VISIT_COOKIE = "doubleloop_visit"
OPEN, OWN = "open", "own"


def needs(action: Action | str) -> dict[str, Any]:
    """``openapi_extra`` of a route: the action that its query permits, OPEN (anybody) or OWN (who is logged in)."""
    return {"x-action": str(action)}


def contexts(request: Request) -> Contexts:
    found: Contexts = request.app.state.contexts
    return found


def settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


def gate(request: Request) -> actors.Actor:
    """The door itself, while it is not known who looks."""
    return dataclasses.replace(GATE, origin=_origin(request))


def _origin(request: Request) -> actors.Origin:
    return actors.origin("console", request.client.host if request.client else None, request.headers)


def actor(request: Request) -> actors.Actor:
    """Who looks. Raises NotAuthenticated. Found once per request."""
    known: actors.Actor | None = getattr(request.state, "actor", None)
    if known is not None:
        return known
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret:
        raise errors.NotAuthenticated("This page needs a login", cure="Log in with your user name and password.")
    found = dataclasses.replace(identity.admit(contexts(request), GATE, secret), origin=_origin(request))
    request.state.actor = found
    return found


@contextmanager
def writing(request: Request, workspace: str | None = None) -> Iterator[Ctx]:
    with contexts(request).write(actor(request), workspace) as ctx:
        yield ctx


@contextmanager
def reading(request: Request, workspace: str | None = None) -> Iterator[Ctx]:
    with contexts(request).read(actor(request), workspace) as ctx:
        yield ctx


def allowed(ctx: Ctx, action: Action, workspace: str | None = None) -> bool:
    """Nowhere in a workspace that is gone, although a release once went through it."""
    there = workspace is None or workspace in workspaces.names(ctx)
    return there and identity.decide(ctx, action, workspace).allowed


def places(ctx: Ctx, action: Action, *, registries: bool = False) -> list[str]:
    """Workspaces where the actor may do ``action``, whether or not they may read the workspace itself.

    ``registries``: the shared registries as well.
    """
    shared = () if registries else {REGISTRY, *workspaces.registries(ctx)}
    return [name for name in workspaces.names(ctx) if name not in shared and allowed(ctx, action, name)]


def csrf(request: Request, visit: str | None = None) -> str:
    """The token that forms of this session (or, before a login, of this visit) carry."""
    bound = request.cookies.get(SESSION_COOKIE) or visit or request.cookies.get(VISIT_COOKIE) or ""
    digest = hashlib.sha256(bound.encode()).hexdigest()
    return contexts(request).port(secrets.Keys).derive(f"console/form/{digest}")


def check_form(request: Request, given: str) -> None:
    """Raise InvalidInput for a form that this session was not given, or that another site sends."""
    bound = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISIT_COOKIE)
    foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if foreign or not bound or not hmac.compare_digest(given.encode(), csrf(request).encode()):
        raise errors.InvalidInput(
            "The form is not valid any more, so nothing was done",
            cure="Go back, load the page again and send the form again.",
        )


def record_denial(request: Request, error: errors.DoubleloopError) -> None:
    """A refusal is in the audit log, in a transaction of its own: the refused one has been rolled back.

    Every one of somebody who is known; of strangers so many that they cannot fill it.
    """
    who: actors.Actor | None = getattr(request.state, "actor", None)
    counted: strangers.Strangers = request.app.state.strangers
    address = request.client.host if request.client else ""
    entry = strangers.Entry() if who else counted.refused(address, contexts(request).now())
    if entry is None:
        return
    with contexts(request).write(who or gate(request), request.path_params.get("ws")) as ctx:
        claimed = getattr(request.state, "claimed", None)
        events.deny(ctx, f"route:{request.method} {request.url.path}", error, claimed, **entry.to_dict())
