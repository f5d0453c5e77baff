"""Routes that name their action. The app refuses to start with one that does not."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from doubleloop.identity.actions import Action

KEY = "x-action"
OPEN = "open"
OWN = "own"


def needs(action: Action | str) -> dict[str, Any]:
    """``openapi_extra`` of a route: the action its command permits, OPEN (anybody) or OWN (one's own things)."""
    return {KEY: str(action)}


def api_routes(app: FastAPI) -> list[APIRoute]:
    found: list[APIRoute] = []
    pending: list[Any] = list(app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            inner = getattr(route, "original_router", None)
            pending += list(getattr(inner, "routes", []) if inner is not None else getattr(route, "routes", None) or [])
    return found


def check(app: FastAPI) -> None:
    """Raise RuntimeError for a route without a known action."""
    known = {OPEN, OWN, *(action.value for action in Action)}
    for route in api_routes(app):
        if (route.openapi_extra or {}).get(KEY) not in known:
            raise RuntimeError(f"route {sorted(route.methods or [])} {route.path} names no action")
