"""Bytes in and out. Content is addressed by its hash; who may write data, code or models may upload."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import anyio.to_thread
from fastapi import Body, Request
from fastapi.responses import Response, StreamingResponse

from doubleloop.api import readings, requests, routing
from doubleloop.api.routing import OWN, needs
from doubleloop.base import errors
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

router = routing.router("/api/v1")

CHUNK = 1 << 20
MOST_HASHES = 10_000


# Whoever may make one of these somewhere has something to upload.
UPLOADERS = (
    Action.DATA_WRITE, Action.ENDPOINT_WRITE, Action.ENVIRONMENT_WRITE, Action.JOB_SUBMIT, Action.MODEL_WRITE,
    Action.RELEASE_WRITE, Action.WORKSPACE_WRITE,
)  # fmt: skip


def _blobs(request: Request) -> storage.Blobs:
    requests.actor(request)
    return requests.contexts(request).port(storage.Blobs)


def _permit_upload(request: Request) -> None:
    """Raise NotPermitted for those who may make nothing that has content, in any workspace."""
    with requests.reading(request) as ctx:
        places = [None, *workspaces.names(ctx)]
        if not any(identity.decide(ctx, action, place).allowed for place in places for action in UPLOADERS):
            identity.permit(ctx, Action.DATA_WRITE)


@router.post("/blobs/missing", openapi_extra=needs(OWN))
def missing(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    """For who has something to send: whether some content is here is not told to others."""
    _permit_upload(request)
    requests.refuse_unknown(body, "sha256")
    hashes = requests.value(body, "sha256", list) or []
    if not all(isinstance(each, str) for each in hashes):
        raise errors.InvalidInput("'sha256' must be a list of hashes")
    if len(hashes) > MOST_HASHES:
        raise errors.TooLarge(f"At most {MOST_HASHES} hashes at once")
    blobs = _blobs(request)
    return {"missing": [each for each in hashes if not blobs.has(each)]}


@router.put("/blobs/{sha256}", openapi_extra=needs(OWN, streamed=True))
async def put_blob(request: Request, sha256: str) -> dict[str, Any]:
    await anyio.to_thread.run_sync(_permit_upload, request)
    blobs = await anyio.to_thread.run_sync(_blobs, request)
    limit = requests.settings(request).upload_limit
    announced = request.headers.get("content-length")
    if announced is None:
        raise errors.InvalidInput("Content-Length is missing")
    if int(announced) > limit:
        raise errors.TooLarge(f"The file has {announced} bytes; the limit is {limit}", cure="Raise upload_limit.")
    size = 0
    with tempfile.TemporaryFile() as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise errors.TooLarge(f"The file has more than {limit} bytes", cure="Raise upload_limit.")
            await anyio.to_thread.run_sync(file.write, chunk)
        file.seek(0)
        await anyio.to_thread.run_sync(blobs.put, file, sha256)
    return {"sha256": sha256, "size": size}


@router.get("/blobs/{sha256}", openapi_extra=needs(OWN))
def get_blob(request: Request, sha256: str) -> Response:
    path = _blobs(request).path(sha256)
    size = path.stat().st_size
    readings.content(request, "blob", sha256, size=size)
    start = _start(request.headers.get("range"), size)

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(CHUNK):
                yield chunk

    headers = {"content-length": str(size - start), "accept-ranges": "bytes"}
    if start:
        headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
    return StreamingResponse(
        chunks(), status_code=206 if start else 200, headers=headers, media_type="application/octet-stream"
    )


def _start(header: str | None, size: int) -> int:
    if not header or not header.startswith("bytes=") or not header.endswith("-"):
        return 0
    text = header.removeprefix("bytes=").removesuffix("-")
    start = int(text) if text.isdigit() else 0
    return start if start < size else 0


@router.post("/trees", openapi_extra=needs(OWN))
def put_tree(request: Request, body: dict[str, Any] = Body()) -> dict[str, Any]:
    _permit_upload(request)
    requests.refuse_unknown(body, "entries")
    try:
        entries = tuple(storage.Entry(*entry) for entry in requests.value(body, "entries", list) or [])
    except TypeError:
        raise errors.InvalidInput("An entry is [path, sha256, size, executable]") from None
    tree = _blobs(request).put_entries(entries)
    return {"sha256": tree.sha256, "size": tree.size, "files": len(tree.entries)}


@router.get("/trees/{sha256}", openapi_extra=needs(OWN))
def get_tree(request: Request, sha256: str) -> dict[str, Any]:
    tree = _blobs(request).tree(sha256)
    parts = {entry.sha256 for entry in tree.entries}
    readings.content(request, "tree", sha256, parts, files=len(tree.entries), size=tree.size)
    return {"sha256": sha256, "entries": [[e.path, e.sha256, e.size, e.executable] for e in tree.entries]}
