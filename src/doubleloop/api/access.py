"""Who may do what: assignments, activations and policies; and what stands in for packages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import Body, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import OWN, needs
from doubleloop.base import clock, errors
from doubleloop.identity import activations, assignments
from doubleloop.identity.actions import Action
from doubleloop.workspaces import commands
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1")


@router.get("/assignments", openapi_extra=needs(OWN))
def list_assignments(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return requests.listing(assignments.list_(ctx), render.plain)


@router.post("/assignments", openapi_extra=needs(Action.IDENTITY_WRITE))
def assign(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(
        body, "principal", "role", "kind", "workspace", "resource", "until", "eligible", "needs_approval", "reason"
    )
    with requests.writing(request) as ctx:
        made = assignments.put(
            ctx, requests.text(body, "principal"), requests.text(body, "role"),
            kind=requests.value(body, "kind", str), workspace=requests.value(body, "workspace", str),
            resource=requests.value(body, "resource", str), until=_moment(requests.value(body, "until", str)),
            eligible=bool(requests.value(body, "eligible", bool)),
            needs_approval=bool(requests.value(body, "needs_approval", bool)), reason=requests.text(body, "reason"),
        )  # fmt: skip
        return dict(render.plain(made))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return clock.parse(text)
    except ValueError:
        raise errors.InvalidInput(f"'{text[:80]}' is not a time", cure="Write 2026-12-31T00:00:00Z.") from None


@router.delete("/assignments/{id}", openapi_extra=needs(Action.IDENTITY_WRITE))
def unassign(request: Request, id: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        assignments.remove(ctx, id)
    return {}


@router.get("/activations", openapi_extra=needs(OWN))
def list_activations(request: Request, only_open: bool = False, waiting: bool = False) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        asked = activations.waiting(ctx)
        found = requests.listing(asked if waiting else activations.list_(ctx, only_open), render.plain)
        return {**found, "eligible": activations.eligible(ctx), "waiting": len(asked)}


@router.post("/activations", openapi_extra=needs(OWN))
def activate(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "of", "reason", "seconds")
    seconds = body.get("seconds", 3600)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= 366 * 86400:
        raise errors.InvalidInput("'seconds' must be a whole number of seconds")
    with requests.writing(request) as ctx:
        made = activations.activate(
            ctx, requests.text(body, "of"), requests.text(body, "reason"), timedelta(seconds=seconds)
        )
        return dict(render.plain(made))


@router.post("/activations/{id}/approve", openapi_extra=needs(Action.IDENTITY_WRITE))
def approve(request: Request, id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    return _decide(request, id, body, True)


@router.post("/activations/{id}/refuse", openapi_extra=needs(Action.IDENTITY_WRITE))
def refuse(request: Request, id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    return _decide(request, id, body, False)


def _decide(request: Request, id: str, body: dict[str, Any], approved: bool) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment")
    with requests.writing(request) as ctx:
        return dict(render.plain(activations.decide(ctx, id, approved, requests.text(body, "comment"))))


@router.post("/activations/{id}/end", openapi_extra=needs(OWN))
def end(request: Request, id: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        return dict(render.plain(activations.end(ctx, id)))


@router.get("/policies", openapi_extra=needs(Action.IDENTITY_READ))
def policies(request: Request) -> dict[str, Any]:
    with requests.reading(request) as ctx:
        return dict(assignments.cedar(ctx))


@router.put("/policies/{name}", openapi_extra=needs(Action.IDENTITY_WRITE))
def put_policy(request: Request, name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "text")
    with requests.writing(request) as ctx:
        assignments.put_policy(ctx, name, requests.text(body, "text"))
    return {}


@router.delete("/policies/{name}", openapi_extra=needs(Action.IDENTITY_WRITE))
def remove_policy(request: Request, name: str) -> dict[str, Any]:
    with requests.writing(request) as ctx:
        assignments.remove_policy(ctx, name)
    return {}


@router.get("/workspaces/{ws}/package-substitutions", openapi_extra=needs(Action.PACKAGE_READ))
def substitutions(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(workspaces.substitutions(ctx, ws), dict)


@router.put("/workspaces/{ws}/package-substitutions", openapi_extra=needs(Action.PACKAGE_WRITE))
def substitute(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "items")
    items = requests.value(body, "items", list, [])
    if not all(isinstance(each, dict) and all(isinstance(v, str) for v in each.values()) for each in items or []):
        raise errors.InvalidInput("'items' must be a list of substitutions")
    with requests.writing(request, ws) as ctx:
        changed = commands.substitute(ctx, ws, list(items or []))
    return requests.listing(changed.settings["package_substitutions"], dict)
