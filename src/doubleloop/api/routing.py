"""Routes that name their action, and ask for it before they read a body. The app refuses to start with any other."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from doubleloop.api import requests
from doubleloop.base import errors
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action

KEY = "x-action"
OPEN = "open"
OWN = "own"
# Bytes of a body that is read into memory. Files are sent as streams and have the limit of the settings.
MOST_BODY = 64 << 20
STREAMED = "x-streamed"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def needs(action: Action | str, *, streamed: bool = False) -> dict[str, Any]:
    """``openapi_extra`` of a route: the action its command permits, OPEN (anybody) or OWN (one's own things).

    ``streamed``: the route reads its body piece by piece and limits it itself.
    """
    return {KEY: str(action), **({STREAMED: True} if streamed else {})}


class Whole(Request):
    """Its JSON holds whole characters alone: half of a pair (``"\\ud800"``) is JSON, but no text that could be kept."""

    async def json(self) -> Any:
        found = await super().json()
        if b"\\ud" in (await self.body()).lower():
            try:
                json.dumps(found, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise errors.InvalidInput("The body holds half a character (a surrogate without its pair)") from None
        return found


class Guarded(APIRoute):
    """Who asks, and in a workspace whether they may, is known before a byte of the body is read.

    The command below asks again, about the very thing it touches; this is the first of two doors.
    """

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        extra = self.openapi_extra or {}

        async def guarded(request: Request) -> Response:
            if extra.get(KEY) != OPEN:
                await anyio.to_thread.run_sync(_admit, request, extra.get(KEY), self.path)
            if not extra.get(STREAMED):
                request = Whole(request.scope, _limited(request))
            return await handle(request)

        return guarded


def router(prefix: str) -> APIRouter:
    return APIRouter(prefix=prefix, route_class=Guarded)


def _admit(request: Request, action: str | None, path: str) -> None:
    actor = requests.actor(request)
    workspace = request.path_params.get("ws")
    if workspace is None or action in (None, OWN):
        return
    thing, several = _thing(request, path), _several(path)
    if thing is not None:
        # What is asked further in, of this actor, is asked about the same thing.
        actor = request.state.actor = dataclasses.replace(actor, about=thing)
    with requests.contexts(request).read(actor, workspace) as ctx:
        if several is not None:
            things.permit_some(ctx, Action(action), several)
        else:
            identity.permit(ctx, Action(action))


# The last word of a collection's path, and what one of its members is called where roles and tokens name it.
COLLECTIONS = {
    "batch-endpoints": "endpoint", "contracts": "data", "data": "data", "datastores": "datastore",
    "environments": "environment", "jobs": "job", "labeling-projects": "labeling", "models": "model",
    "monitors": "monitor", "online-endpoints": "endpoint", "rules": "rule", "schedules": "schedule",
    "secrets": "secret",
}  # fmt: skip
_BELOW_WORKSPACE = re.compile(r"/api/v1/workspaces/\{ws\}/([a-z-]+)(?:/\{(\w+)\}(?:/.*)?)?")


def _thing(request: Request, path: str) -> str | None:
    """The one thing that a route is about: ``endpoint/bikes``."""
    found = _BELOW_WORKSPACE.fullmatch(path)
    if found is None or found[2] is None or found[1] not in COLLECTIONS:
        return None
    return f"{COLLECTIONS[found[1]]}/{request.path_params[found[2]]}"


def _several(path: str) -> str | None:
    """What a list shows, or what a new one is added to: its command asks about each, or about the one."""
    found = _BELOW_WORKSPACE.fullmatch(path)
    if found and found[1] == "alerts":  # each belongs to a monitor, which its command finds and asks about
        return "monitor"
    return COLLECTIONS.get(found[1]) if found and found[2] is None else None


def _limited(request: Request) -> Receive:
    """The body's pieces, up to MOST_BODY bytes. Raises TooLarge before anything is kept when its length is told."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MOST_BODY:
        raise errors.TooLarge(
            f"The body has {announced} bytes; the limit is {MOST_BODY}", cure="Upload files as blobs."
        )
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > MOST_BODY:
            raise errors.TooLarge(f"The body has more than {MOST_BODY} bytes", cure="Upload files as blobs.")
        return message

    return receive


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
    """Raise RuntimeError for a route without a known action, or one that is not guarded."""
    known = {OPEN, OWN, *(action.value for action in Action)}
    for route in api_routes(app):
        if (route.openapi_extra or {}).get(KEY) not in known:
            raise RuntimeError(f"route {sorted(route.methods or [])} {route.path} names no action")
        if not isinstance(route, Guarded):
            raise RuntimeError(f"route {sorted(route.methods or [])} {route.path} is not guarded")
