"""One server's HTTP: connections kept open, errors turned back into ours, patience with a server that restarts."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from doubleloop.base import errors

CHUNK = 1 << 20


@dataclass(frozen=True)
class Patience:
    """How long to go on trying: ``seconds`` in all, waits doubling from ``first`` to ``longest``, each jittered.

    ``unknown`` is for a server that has not answered yet: nobody listening there is then an error soon. ``waiting`` is
    told why before each wait.
    """

    seconds: float = 20.0
    unknown: float = 1.0
    first: float = 0.2
    longest: float = 3.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    waiting: Callable[[str], None] = lambda why: None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """The body's value, None for an empty body. Raises Unavailable when it is not JSON (not our server)."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            raise errors.Unavailable(
                f"The answer is not JSON but {self.headers.get('content-type', 'something else')}",
                cure="Is this the address of a Doubleloop server? See `doubleloop status`.",
            ) from None


@dataclass(frozen=True)
class Request:
    """``body`` is bytes, or a function that opens it anew for each try, with ``length`` bytes; ``timeout`` is in
    seconds of silence, when it is not the transport's.

    ``repeatable`` says that doing it twice is the same as once; otherwise it is sent again only when it surely was
    not acted on (no connection was made, or the server answered 503).
    """

    method: str
    path: str
    body: bytes | Callable[[], BinaryIO] | None = None
    length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    timeout: float | None = None


class _NotSent(Exception):
    """The request never reached the server."""


class Transport:
    """Thread-safe: each thread has a connection of its own. ``url`` may have a path prefix.

    ``agent`` and ``reason`` (why something is done) stand in the record of the server.
    """

    def __init__(
        self, url: str, token: str = "", *, timeout: float = 60.0, patience: Patience | None = None,
        agent: str = "doubleloop-sdk", reason: str = "",
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.InvalidInput(f"'{url}' is not the address of a server", cure="Write http://HOST:PORT.")
        self.url = url.rstrip("/")
        self.token = token
        self._parts, self._host = parts, parts.hostname
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._told = {"User-Agent": agent, **({"Doubleloop-Reason": quote(reason)} if reason else {})}
        self.patience = patience or Patience()
        self._reached = False
        self._local = threading.local()

    def json(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
    ) -> Any:  # fmt: skip
        """Send and receive JSON. Raises the error the server answered with, or Unavailable."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        request = Request(
            method, path + query(params), content, None, headers,
            method in ("GET", "PUT", "DELETE") if repeatable is None else repeatable,
        )  # fmt: skip
        return self.send(request).json()

    def send(self, request: Request, *, raw: bool = False) -> Answer:
        """The whole answer. Raises the server's error for a status of 400 and above, unless ``raw``."""
        with self.open(request, raw=raw) as response:
            return _answer(response, response.read())

    @contextmanager
    def open(self, request: Request, *, raw: bool = False) -> Iterator[http.client.HTTPResponse]:
        """The answer as a stream. Retries cover the time until its headers are there."""
        response = self._persist(request, raw)
        try:
            if response.status >= 400 and not raw:
                raise _error(_answer(response, response.read()))
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(request, error) from error
        finally:
            if not response.isclosed():
                self._drop()

    def _persist(self, request: Request, raw: bool) -> http.client.HTTPResponse:
        """The answer's head, after as many tries as patience allows."""
        begun = self.patience.clock()
        attempt = 0
        while True:
            try:
                response = self._once(request)
                self._reached = True
            except (OSError, http.client.HTTPException, _NotSent) as error:
                unreachable = self._unreachable(request, error)
                again = request.repeatable or isinstance(error, _NotSent)
                if not again or not self._wait(attempt, begun, None, unreachable.what):
                    raise unreachable from error
            else:
                if response.status != 503 or raw:
                    return response
                answer = _answer(response, response.read())
                refusal = _error(answer)
                if not self._wait(attempt, begun, answer.headers.get("retry-after"), refusal.what):
                    raise refusal
            attempt += 1

    def _once(self, request: Request) -> http.client.HTTPResponse:
        kept = getattr(self._local, "connection", None)
        if kept is not None and kept.sock is not None and request.repeatable:
            try:
                return self._exchange(kept, request)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._drop()  # The server closed an idle connection; a new one may do.
            except BaseException:
                self._drop()
                raise
        # What must not be done twice gets a new connection: an idle one may be closing while we send.
        self._drop()
        connection = self._connect()
        try:
            return self._exchange(connection, request)
        except BaseException:
            self._drop()
            raise

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                self._host, self._parts.port, timeout=self._timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._parts.port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError as error:
            raise _NotSent(str(error)) from error
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._local.connection = connection
        return connection

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", **self._told, **request.headers}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if callable(request.body):
            headers["Content-Length"] = str(request.length)
        connection.sock.settimeout(request.timeout or self._timeout)
        try:
            self._submit(connection, request, headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large body answers and closes while we still send: the answer says why.
            if not request.body:
                raise
        return connection.getresponse()

    def _submit(self, connection: http.client.HTTPConnection, request: Request, headers: dict[str, str]) -> None:
        target = self._prefix + request.path
        if callable(request.body):
            with request.body() as stream:
                connection.request(request.method, target, stream, headers)
        else:
            connection.request(request.method, target, request.body, headers)

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close this thread's connection."""
        self._drop()

    def _wait(self, attempt: int, begun: float, retry_after: str | None, why: str) -> bool:
        """Sleep before the next try; False when the time is up."""
        asked = float(retry_after) if retry_after and retry_after.replace(".", "", 1).isdigit() else 0.0
        jitter = random.uniform(0.7, 1.0)
        pause = max(asked, min(self.patience.longest, self.patience.first * 2**attempt) * jitter)
        allowed = self.patience.seconds if self._reached else min(self.patience.unknown, self.patience.seconds)
        if self.patience.clock() + pause > begun + allowed:
            return False
        self.patience.waiting(why)
        self.patience.sleep(pause)
        return True

    def _unreachable(self, request: Request, error: Exception) -> errors.Unavailable:
        if isinstance(error, _NotSent):
            return errors.Unavailable(
                f"The server at {self.url} does not answer: {error}",
                cure="Start it with `doubleloop up`, or see `doubleloop status`.",
            )
        return errors.Unavailable(
            f"The connection to {self.url} broke during {request.method} {request.path.partition('?')[0]}: "
            f"{error or type(error).__name__}",
            cure="" if request.repeatable else "Look whether it was done before you repeat it.",
        )


def query(params: Mapping[str, Any] | None) -> str:
    """``?a=1&b=x``, leaving out None; an empty text for nothing. True and False become words, a list several pairs."""
    chosen = {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in (params or {}).items()
        if value is not None
    }
    return f"?{urlencode(chosen, doseq=True)}" if chosen else ""


def path(*parts: str) -> str:
    """``/api/v1/...`` with every part encoded, so that a name cannot reach another route."""
    return "/api/v1/" + "/".join("%2E" * len(part) if part in (".", "..") else quote(part, safe="@") for part in parts)


def _answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, body)


def _error(answer: Answer) -> errors.DoubleloopError:
    try:
        body = json.loads(answer.body)
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            return errors.from_dict(body)
    except ValueError:
        pass
    kind = next((kind for kind in errors.BY_CODE.values() if kind.status == answer.status), errors.DoubleloopError)
    text = answer.body[:500].decode(errors="replace").strip()
    return kind(f"The server answered {answer.status}{': ' + text if text else ''}")
