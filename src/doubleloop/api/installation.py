"""The installation: health, roles."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import sqlalchemy as sa
from fastapi import Request

from doubleloop import __version__
from doubleloop.api import render, requests, routing
from doubleloop.api.routing import OPEN, needs
from doubleloop.base import errors, sockets
from doubleloop.endpoints import ports as endpoints
from doubleloop.identity import commands as identity
from doubleloop.identity import queries as identities
from doubleloop.identity import roles as role_tables
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona, WorkspaceKind
from doubleloop.settings.model import Settings

router = routing.router("/api/v1")

WORKER_SILENT_SECONDS = 10.0


@router.get("/health", openapi_extra=needs(OPEN))
def health(request: Request) -> dict[str, Any]:
    parts = {
        "database": _database(request),
        "gateway": _gateway(request),
        "mlflow": _mlflow(requests.settings(request)),
        "worker": _worker(requests.settings(request)),
    }
    status = "ok" if all(state == "ok" for state in parts.values()) else "degraded"
    return {"status": status, "version": __version__, "parts": {"api": "ok", **parts}}


def _database(request: Request) -> str:
    try:
        with requests.contexts(request).read(requests.GATE) as ctx:
            ctx.tx.execute(sa.text("select 1"))
        return "ok"
    except sa.exc.SQLAlchemyError:
        return "failed"


def _gateway(request: Request) -> str:
    try:
        requests.contexts(request).port(endpoints.Serving).status()
        return "ok"
    except errors.Unavailable:
        return "starting"


def _mlflow(settings: Settings) -> str:
    try:
        transport = httpx.HTTPTransport(uds=sockets.address(settings.mlflow_socket), verify=False)
        with httpx.Client(transport=transport, timeout=2) as client:
            return "ok" if client.get("http://localhost/health").status_code == 200 else "starting"
    except httpx.HTTPError:
        return "starting"


def _worker(settings: Settings) -> str:
    try:
        beat = json.loads((settings.home / "run" / "worker.json").read_text())["at"]
    except (OSError, ValueError, KeyError):
        return "starting"
    return "ok" if time.time() - beat < WORKER_SILENT_SECONDS else "silent"


@router.get("/roles", openapi_extra=needs(Action.IDENTITY_READ))
def roles(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        groups = identities.groups(ctx)
    table = {
        persona.value: {kind.value: sorted(role_tables.allowed_actions(persona, kind)) for kind in WorkspaceKind}
        for persona in Persona
    }
    return {"items": [render.plain(group) for group in groups], "next": None, "personas": table}


@router.get("/roles/explain", openapi_extra=needs(Action.IDENTITY_READ))
def explain_role(
    request: Request,
    action: str,
    user: str | None = None,
    workspace: str | None = None,
    resource: str | None = None,
) -> dict[str, Any]:
    try:
        wanted = Action(action)
    except ValueError:
        raise errors.InvalidInput(f"'{action}' is not an action", cure=f"One of {', '.join(Action)}.") from None
    with requests.reading(request) as ctx:
        name = user or ctx.actor.id
        decision = identity.explain(ctx, name, wanted, workspace, resource)
    return {
        "user": name, "action": action, "workspace": workspace, "allowed": decision.allowed, "why": decision.why,
        "by": list(decision.by),
    }  # fmt: skip
