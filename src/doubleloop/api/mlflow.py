"""The door to MLflow: every request is classified, permitted, passed on as a stream, and noted when it matters."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

import httpx
from fastapi import Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from doubleloop.api import readings, requests
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.identity.limits import Limiter
from doubleloop.models import commands as models
from doubleloop.tracking import commands as tracking
from doubleloop.tracking import graphql, routes, rules
from doubleloop.tracking import ports as tracking_port
from doubleloop.tracking.mlflow import HEADER
from doubleloop.workspaces.model import REGISTRY

LOG = logging.getLogger("doubleloop.mlflow")

PREFIX = "/mlflow"
# Characters of an artifact's name that the record keeps.
MOST_NAME = 500
LARGEST_TRACE = 16 * 1024 * 1024
LARGEST_CHANGE = 1024 * 1024
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*\Z")
_NOT_PASSED = {
    "host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "authorization", "cookie",
    "proxy-authorization", "content-length", "origin", "referer", HEADER,
}  # fmt: skip


class Proxy:
    """``/mlflow/...`` and ``/mlflow/w/<workspace>/...`` lead to the server on the socket."""

    def __init__(self, socket: str) -> None:
        # No TLS is spoken on the socket: the authorities' certificates, which take 30 ms to read, are left.
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=socket, verify=False), base_url="http://localhost",
            timeout=httpx.Timeout(300.0, connect=5.0),
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    async def __call__(self, request: Request) -> Response:
        workspace, path, raw = _split(request)
        if raw == b"/" and not request.url.path.endswith("/"):
            return RedirectResponse(f"{request.url.path}/", 307)  # the page's files are named from where it is
        if path == "/" and _is_stranger(request):
            return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
        actor = await asyncio.to_thread(_actor, request)
        contexts = requests.contexts(request)
        content: bytes | AsyncIterator[bytes] | None = _content(request)
        if path == routes.GRAPHQL and request.method == "POST":
            content, asked = await _graphql(request)
            await asyncio.to_thread(_permit, contexts, actor, workspace, request.method, path, asked)
        else:
            await asyncio.to_thread(_permit, contexts, actor, workspace, request.method, path)
        if request.method in ("POST", "PATCH") and routes.TAGS_TRACES.match(path):
            content = await _traces(request)
        changes = routes.CHANGES.match(path) if request.method in ("POST", "PATCH", "DELETE") else None
        asked_for: dict[str, Any] = {}
        if changes:
            content, asked_for = await _change(request, content)
        place = await asyncio.to_thread(contexts.port(tracking_port.Tracking).of(workspace or REGISTRY).prepare)
        answer = await self._pass_on(request, raw, place, content)
        if request.method == "GET" and answer.status_code < 300 and routes.DOWNLOADS.match(path):
            await self._note_reading(request, answer, workspace, path)
        if changes and answer.status_code < 300:
            await asyncio.to_thread(_note_change, contexts, actor, workspace, changes[1], asked_for)
        if _NOTED.match(path) is None or request.method not in ("GET", "POST"):
            return StreamingResponse(
                _stream(answer), status_code=answer.status_code, headers=_headers(answer.headers, path),
            )  # fmt: skip
        body = await answer.aread()
        await answer.aclose()
        if answer.status_code == 200:
            if routes.SERVER_INFO.match(path):
                body = _told(body)
            elif request.method == "POST":
                await asyncio.to_thread(_note, contexts, actor, workspace, path, body)
        return Response(body, status_code=answer.status_code, headers=_headers(answer.headers, path, decoded=True))

    async def _note_reading(self, request: Request, answer: httpx.Response, workspace: str | None, path: str) -> None:
        """On record before the first byte is passed on; without that none is."""
        name = f"{path}?{request.url.query}" if request.url.query else path
        try:
            await asyncio.to_thread(
                readings.note, request, "artifact.read", f"artifact:{name}"[:MOST_NAME], workspace or REGISTRY
            )
        except BaseException:
            await answer.aclose()
            raise

    async def _pass_on(
        self, request: Request, path: bytes, place: str, content: bytes | AsyncIterator[bytes] | None
    ) -> httpx.Response:
        headers = {
            name: value for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED and not name.lower().startswith("x-forwarded")
        }  # fmt: skip
        headers[HEADER] = place
        length = request.headers.get("content-length")
        if length is not None and not isinstance(content, bytes):
            headers["content-length"] = length
        # To the byte what was classified: nothing between here and MLflow may read the path in another way.
        target = path + (b"?" + request.scope["query_string"] if request.scope["query_string"] else b"")
        url = httpx.URL("http://localhost").copy_with(raw_path=target)
        outgoing = self._http.build_request(request.method, url, headers=headers, content=content)
        try:
            return await self._http.send(outgoing, stream=True)
        except httpx.HTTPError as error:
            raise errors.Unavailable(
                f"MLflow's server does not answer ({type(error).__name__})", cure="Try again in a moment."
            ) from error


_NOTED = re.compile("|".join(each.pattern for each in (routes.SERVER_INFO, routes.REGISTERS, routes.CREATES_RUN)))


def _content(request: Request) -> AsyncIterator[bytes] | None:
    length = request.headers.get("content-length")
    return request.stream() if length not in (None, "0") or "transfer-encoding" in request.headers else None


def _is_stranger(request: Request) -> bool:
    """A browser that shows the page to somebody who is not logged in."""
    return (
        request.method == "GET"
        and "text/html" in request.headers.get("accept", "")
        and "authorization" not in request.headers
        and requests.SESSION_COOKIE not in request.cookies
    )


def _actor(request: Request) -> actors.Actor:
    """By a token, by the console's session, or by basic authentication: a user's name, and their password or a token
    of theirs (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD). Raises NotAuthenticated, TooManyTries."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return requests.actor(request)
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError as error:
        raise errors.NotAuthenticated("This is not basic authentication") from error
    request.state.claimed = user
    contexts = requests.contexts(request)
    if password.startswith(identity.TOKENS_BEGIN):
        found = identity.admit(contexts, requests.GATE, password)
        if user not in ("", found.id):
            raise errors.NotAuthenticated("The token is unknown or has expired")
    else:
        limiter: Limiter = request.app.state.limiter
        with limiter.counting(user, requests.address(request), contexts.now()), contexts.read(requests.GATE) as ctx:
            found = identity.check_password(ctx, user, password, again=True)
    request.state.actor = found = dataclasses.replace(found, origin=requests.origin(request))
    return found


async def _graphql(request: Request) -> tuple[bytes, frozenset[Action]]:
    """What is asked, written anew so that MLflow reads what was read here, and the actions that it needs."""
    body = await _read(request, graphql.LARGEST, "A GraphQL document")
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise errors.InvalidInput("The body has no 'query'")
    asked = await asyncio.to_thread(graphql.needed, body["query"])
    return json.dumps({key: body.get(key) for key in ("query", "variables", "operationName")}).encode(), asked


async def _change(
    request: Request, content: bytes | AsyncIterator[bytes] | None
) -> tuple[bytes | None, dict[str, Any]]:
    """What is to be changed, written anew so that MLflow reads what was read here, and what the record says of it."""
    body = json.loads(content) if isinstance(content, bytes) else {}
    if content is not None and not isinstance(content, bytes):
        body = await _read(request, LARGEST_CHANGE, "A change")
    if not isinstance(body, dict):
        raise errors.InvalidInput("The body is no JSON object")
    asked = {**request.query_params, **body}
    named = {key: _short(asked[key]) for key in routes.CHANGED if key in asked}
    return json.dumps(body).encode() if content is not None else None, named


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= MOST_NAME else f"{text[:MOST_NAME]}…"


async def _traces(request: Request) -> bytes:
    """What a trace is told, written anew so that MLflow reads what was read here. Raises NotPermitted for a tag by
    which MLflow's server finds files."""
    body = await _read(request, LARGEST_TRACE, "What is told about a trace")
    tag = rules.own_tag(body)
    if tag is not None:
        raise errors.NotPermitted(f"The tag {tag} is MLflow's own: it says where a trace's files are")
    return json.dumps(body).encode()


async def _read(request: Request, largest: int, what: str) -> Any:
    """The body as JSON. Raises TooLarge, InvalidInput."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > largest:
            raise errors.TooLarge(f"{what} has at most {largest} bytes")
        pieces.append(piece)
    try:
        return json.loads(b"".join(pieces))
    except (ValueError, RecursionError) as error:
        raise errors.InvalidInput("The body is not JSON") from error


def _told(body: bytes) -> bytes:
    """Which workspace one is in is said by the address: pages and clients are not to ask for another."""
    return json.dumps({**json.loads(body), "workspaces_enabled": False}).encode()


def _split(request: Request) -> tuple[str | None, str, bytes]:
    """Workspace, MLflow's path as it will read it, and the same as it was sent.

    ``/w/dev/api/…`` is workspace ``dev``; without ``/w/`` it is the installation's registry. Raises InvalidInput for a
    path with dot segments, which one reader takes away and another does not.
    """
    sent: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    raw = sent.partition(b"?")[0].removeprefix(PREFIX.encode()) or b"/"
    workspace = None
    if raw.startswith(b"/w/"):
        name, _, rest = raw.removeprefix(b"/w/").partition(b"/")
        workspace, raw = unquote(name.decode("ascii", "replace")), b"/" + rest
        if not workspace:
            raise errors.InvalidInput("The workspace is missing", cure="Write /mlflow/w/WORKSPACE/….")
    path = unquote(raw.decode("ascii", "replace"))
    if any(part in (".", "..") for part in path.replace("\\", "/").split("/")) or not _PLAIN.match(path):
        raise errors.InvalidInput("MLflow's paths have no '.' or '..' in them and no control characters")
    return workspace, path, raw


def _permit(
    contexts: Contexts, actor: actors.Actor, workspace: str | None, method: str, path: str,
    asked: frozenset[Action] = frozenset(),
) -> None:  # fmt: skip
    rule = routes.classify(method, path)
    if rule.action is None:
        raise errors.NotPermitted(f"MLflow's {method} {path} is closed: {rule.why}")
    with contexts.read(actor, workspace or REGISTRY) as ctx:
        for action in sorted(asked or {rule.action}):
            identity.permit(ctx, action)


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _headers(headers: httpx.Headers, path: str, decoded: bool = False) -> dict[str, str]:
    left_out = {"connection", "transfer-encoding", "server", "date"}
    if decoded:
        left_out |= {"content-encoding", "content-length"}
    found = {name: value for name, value in headers.items() if name.lower() not in left_out}
    found["x-content-type-options"] = "nosniff"
    if not routes.PAGES.match(path):
        # Anybody's file may be a page with a script, which is not to act for who looks at it.
        found["content-security-policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return found


def _note(contexts: Contexts, actor: actors.Actor, workspace: str | None, path: str, body: bytes) -> None:
    """Remember who made a run or registered a version. A failure here must not undo what MLflow has done."""
    try:
        content = json.loads(body)
        if routes.CREATES_RUN.match(path):
            run_id = content["run"]["info"]["run_id"]
            with contexts.write(actor, workspace or REGISTRY) as ctx:
                tracking.note_run(ctx, run_id)
            return
        version = content["model_version"]
        with contexts.write(actor, workspace or REGISTRY) as ctx:
            tracking.note_registration(ctx, version["name"], str(version["version"]))
        models.record(contexts, version["name"], str(version["version"]))
    except (errors.DoubleloopError, KeyError, ValueError):
        LOG.exception("what MLflow did could not be noted; the worker will find it")


def _note_change(
    contexts: Contexts, actor: actors.Actor, workspace: str | None, what: str, named: dict[str, Any]
) -> None:
    """A failure here must not undo what MLflow has done: it is in the log then."""
    try:
        with contexts.write(actor, workspace or REGISTRY) as ctx:
            events.record(ctx, "tracking.changed", f"mlflow:{what}", **named)
        if what == "registered-models/alias":
            models.follow_alias(contexts, actor, named["name"], named["alias"], named.get("version"))
    except Exception:
        LOG.exception("a change in MLflow could not be noted: %s %s by %s", what, named, actor.id)
