"""The door to MLflow: every request is classified, permitted, passed on as a stream, and noted when it matters."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

import httpx
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from doubleloop.api import readings, requests
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.identity import commands as identity
from doubleloop.models import commands as models
from doubleloop.tracking import commands as tracking
from doubleloop.tracking import routes
from doubleloop.workspaces.model import REGISTRY

LOG = logging.getLogger("doubleloop.mlflow")

PREFIX = "/mlflow"
# Characters of an artifact's name that the record keeps.
MOST_NAME = 500
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*\Z")
_NOT_PASSED = {
    "host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "authorization", "cookie",
    "proxy-authorization", "content-length",
}  # fmt: skip


class Proxy:
    """``/mlflow/...`` and ``/mlflow/w/<workspace>/...`` lead to the server on the socket."""

    def __init__(self, socket: str) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=socket), base_url="http://localhost",
            timeout=httpx.Timeout(300.0, connect=5.0),
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    async def __call__(self, request: Request) -> Response:
        workspace, path, raw = _split(request)
        actor = await asyncio.to_thread(requests.actor, request)
        await asyncio.to_thread(_permit, requests.contexts(request), actor, workspace, request.method, path)
        noted = request.method == "POST" and (routes.REGISTERS.match(path) or routes.CREATES_RUN.match(path))
        answer = await self._pass_on(request, raw)
        if request.method == "GET" and answer.status_code < 300 and routes.DOWNLOADS.match(path):
            await self._note_reading(request, answer, workspace, path)
        if not noted:
            return StreamingResponse(
                _stream(answer), status_code=answer.status_code, headers=_headers(answer.headers),
            )  # fmt: skip
        body = await answer.aread()
        await answer.aclose()
        if answer.status_code == 200:
            await asyncio.to_thread(_note, requests.contexts(request), actor, workspace, path, body)
        return Response(body, status_code=answer.status_code, headers=_headers(answer.headers, decoded=True))

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

    async def _pass_on(self, request: Request, path: bytes) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED}
        length = request.headers.get("content-length")
        if length is not None:
            headers["content-length"] = length
        has_body = length not in (None, "0") or "transfer-encoding" in request.headers
        # To the byte what was classified: nothing between here and MLflow may read the path in another way.
        target = path + (b"?" + request.scope["query_string"] if request.scope["query_string"] else b"")
        url = httpx.URL("http://localhost").copy_with(raw_path=target)
        content = request.stream() if has_body else None
        outgoing = self._http.build_request(request.method, url, headers=headers, content=content)
        try:
            return await self._http.send(outgoing, stream=True)
        except httpx.HTTPError as error:
            raise errors.Unavailable(
                f"MLflow's server does not answer ({type(error).__name__})", cure="Try again in a moment."
            ) from error


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


def _permit(contexts: Contexts, actor: actors.Actor, workspace: str | None, method: str, path: str) -> None:
    rule = routes.classify(method, path)
    if rule.action is None:
        raise errors.NotPermitted(f"MLflow's {method} {path} is closed: {rule.why}")
    with contexts.read(actor, workspace or REGISTRY) as ctx:
        identity.permit(ctx, rule.action)


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _headers(headers: httpx.Headers, decoded: bool = False) -> dict[str, str]:
    left_out = {"connection", "transfer-encoding", "server", "date"}
    if decoded:
        left_out |= {"content-encoding", "content-length"}
    return {name: value for name, value in headers.items() if name.lower() not in left_out}


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
