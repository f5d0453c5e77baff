"""Secrets of a workspace: their names and versions, and, on record each time, their values."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request, Response

from doubleloop.api import requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import clock, errors
from doubleloop.identity.actions import Action
from doubleloop.vault import commands, model, queries

router = routing.router("/api/v1")


def _secret(secret: model.Secret) -> dict[str, Any]:
    newest = secret.latest or secret.versions[0]
    return {
        "name": secret.name, "workspace": secret.workspace, "description": newest.description, "version": newest.number,
        "updated_at": clock.iso(newest.created_at), "versions": [_version(each) for each in secret.versions],
    }  # fmt: skip


def _version(version: model.Version) -> dict[str, Any]:
    return {
        "version": version.number, "description": version.description, "created_by": version.created_by,
        "created_at": clock.iso(version.created_at),
        "destroyed_at": clock.iso(version.destroyed_at) if version.destroyed_at else None,
    }  # fmt: skip


@router.get("/workspaces/{ws}/secrets", openapi_extra=needs(Action.SECRET_READ))
def list_secrets(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.secrets(ctx), _secret)


@router.post("/workspaces/{ws}/secrets", openapi_extra=needs(Action.SECRET_WRITE))
def put_secret(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "name", "value", "description")
    made = commands.put(
        requests.contexts(request), requests.actor(request), ws, requests.text(body, "name"),
        requests.text(body, "value"), requests.text(body, "description"),
    )  # fmt: skip
    return _secret(made)


@router.post("/workspaces/{ws}/secrets/renew", openapi_extra=needs(Action.SECRET_WRITE))
def renew_secrets(request: Request, ws: str) -> dict[str, Any]:
    return {"renewed": commands.renew(requests.contexts(request), requests.actor(request), ws)}


@router.get("/workspaces/{ws}/secrets/{name}", openapi_extra=needs(Action.SECRET_READ))
def show_secret(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _secret(queries.show(ctx, name))


@router.post("/workspaces/{ws}/secrets/{name}/reveal", openapi_extra=needs(Action.SECRET_GET))
def reveal_secret(
    request: Request, response: Response, ws: str, name: str, body: dict[str, Any] = Body()
) -> dict[str, Any]:  # fmt: skip
    requests.refuse_unknown(body, "version")
    wanted = requests.value(body, "version", int)
    if wanted is not None and not 0 < wanted < 10**9:
        raise errors.InvalidInput("'version' must be a whole number from 1")
    number, value = commands.reveal(requests.contexts(request), requests.actor(request), ws, name, wanted)
    response.headers["cache-control"] = "no-store"
    return {"name": name, "version": number, "value": value}


@router.delete("/workspaces/{ws}/secrets/{name}", openapi_extra=needs(Action.SECRET_WRITE))
def delete_secret(request: Request, ws: str, name: str) -> dict[str, Any]:
    commands.delete(requests.contexts(request), requests.actor(request), ws, name)
    return {}
