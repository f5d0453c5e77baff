"""Content at http and https addresses: fetched under guard, kept by its hash, and then asked only whether it changed.

What was fetched once is had again without the network, as long as nobody can say that it has changed since.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from doubleloop.base import actors, errors
from doubleloop.data import store
from doubleloop.db.context import Contexts
from doubleloop.outbound import commands as outbound
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

LOG = logging.getLogger("doubleloop.data")
TIMEOUT_S = 60
# Between one try and the next, in seconds.
PAUSES_S = (1.0, 5.0, 15.0)
# Answers that may be another one soon: too slow, too many, and what servers say of their own troubles.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Passing(OSError):
    """It may go better in a moment."""


@dataclass(frozen=True)
class Answer:
    """``reference`` is what was stored; the others are what the server wants to hear when it is asked for changes."""

    reference: str
    etag: str = ""
    modified: str = ""


def fetch(contexts: Contexts, actor: actors.Actor, workspace: str, url: str) -> str:
    """What is at ``url`` as stored content. A server that answers badly, or not, is asked again for some time.

    Raises NotPermitted for an address that may not be reached, InvalidInput for one that is none, or whose server
    refuses it, NotFound, TooLarge, and Unavailable when it cannot be reached and was never fetched before.
    """
    blobs = contexts.port(storage.Blobs)
    key = hashlib.sha256(url.encode()).hexdigest()  # addresses may hold a signature that opens them
    with contexts.read(actor, workspace) as ctx:
        allowed, most = workspaces.reach(ctx), ctx.port(Settings).upload_limit
        before = store.fetched(ctx, workspace, key)
    if before is not None and not _is_there(blobs, before.reference):
        before = None
    try:
        found = _persistently(blobs, url, allowed, most, before)
    except errors.Unavailable as error:
        if before is None:
            raise
        LOG.warning("what was fetched from %s before is used: %s", urllib.parse.urlsplit(url).hostname, error.what)
        return before.reference
    if found is None:
        assert before is not None  # only then a server is asked whether it changed
        return before.reference
    with contexts.write(actor, workspace) as ctx:
        store.put_fetched(ctx, workspace, key, found.reference, found.etag, found.modified)
    return found.reference


def _is_there(blobs: storage.Blobs, reference: str) -> bool:
    tree = reference.removeprefix("tree:sha256:").partition("/")[0]
    return blobs.has(tree) and all(blobs.has(entry.sha256) for entry in blobs.tree(tree).entries)


def _persistently(
    blobs: storage.Blobs, url: str, allowed: Sequence[str], most: int, before: store.Fetched | None
) -> Answer | None:
    for pause in (*PAUSES_S, None):
        try:
            return _once(blobs, url, allowed, most, before)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if pause is None or isinstance(error, ValueError):
                raise _explained(url, error) from error
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _once(
    blobs: storage.Blobs, url: str, allowed: Sequence[str], most: int, before: store.Fetched | None
) -> Answer | None:
    """None: it has not changed since ``before``."""
    headers = {}
    if before is not None and before.etag:
        headers["If-None-Match"] = before.etag
    if before is not None and before.modified:
        headers["If-Modified-Since"] = before.modified
    with outbound.guarded(allowed, url) as guard:
        opener = urllib.request.build_opener(_Redirects(guard))
        try:
            with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as stream:
                sha256 = blobs.put(cast(BinaryIO, _Limited(stream, most)))
                known = stream.headers
        except urllib.error.HTTPError as error:
            if error.code == 304 and headers:
                return None
            if error.code in _PASSING:
                raise _Passing(f"the server answered {error.code} {error.reason}") from error
            raise _refused(url, error) from error
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name or "content"
    entry = storage.Entry(name, sha256, blobs.path(sha256).stat().st_size)
    reference = f"tree:sha256:{blobs.put_entries((entry,)).sha256}/{name}"
    return Answer(reference, known.get("ETag", ""), known.get("Last-Modified", ""))


def _refused(url: str, error: urllib.error.HTTPError) -> errors.DoubleloopError:
    what = f"{url} could not be fetched: the server answered {error.code} {error.reason}"
    if error.code in (404, 410):
        return errors.NotFound(what, cure="Correct the address.")
    return errors.InvalidInput(what, cure="Give an address that needs no login, or download it and name the file.")


def _explained(url: str, error: Exception) -> errors.Unavailable:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, socket.gaierror):
        host = urllib.parse.urlsplit(url).hostname
        return errors.Unavailable(
            f"{url} could not be fetched: the name {host} could not be looked up ({inner.strerror})",
            cure="This machine may have no way to the internet: set HTTPS_PROXY where the server starts, or download "
            "the file elsewhere and name it.",
        )
    return errors.Unavailable(f"{url} could not be fetched: {error}", cure="Download it and name the file.")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Each step on the way is looked at like the first."""

    def __init__(self, guard: outbound.Guard) -> None:
        self._guard = guard

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self._guard.check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Limited:
    """A stream that ends in TooLarge after ``most`` bytes, and in an error before the length that was announced."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left, self._got = stream, most, 0
        self._announced = stream.headers.get("Content-Length", "")

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = self._stream.read(size)
        self._left -= len(data)
        self._got += len(data)
        if self._left < 0:
            raise errors.TooLarge("The file there is larger than uploads may be", cure="Raise upload_limit.")
        if not data and self._announced.isdigit() and self._got < int(self._announced):
            raise _Passing(f"it broke off after {self._got} of {self._announced} bytes")
        return data
