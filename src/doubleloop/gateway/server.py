"""HTTP/1.1 on asyncio and httptools, no more than the gateway needs: keep-alive, pipelining, chunked bodies,
``Expect: 100-continue``, limits on everything a caller can make large or slow, and a stop that loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import cast

import httptools

from doubleloop.base import errors
from doubleloop.gateway import limits as limit
from doubleloop.gateway import messages
from doubleloop.gateway.sockets import BACKLOG

logger = logging.getLogger(__name__)

Handler = Callable[[messages.Request], Awaitable[messages.Response]]
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
PIPELINED = 16  # requests of one connection that may wait for their turn
LINGER = 2.0  # seconds to read on after an early refusal, so that the caller gets to read the answer
SLOWEST = 64 * 1024  # bytes that a caller has to read within ``write_timeout``
INTERRUPTED = 1.0  # seconds that what is streamed gets to say that it ends early
STOP_LINGER = 0.5  # seconds in which requests already on their way are still answered when stopping


class Server:
    """``handler`` gets one request at a time per connection; it is cancelled when the caller goes away."""

    def __init__(self, handler: Handler, limits: limit.Limits) -> None:
        self.handler, self.limits = handler, limits
        self.connections: set[Connection] = set()
        self.stopping = False
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accepts on sockets that listen already."""
        loop = asyncio.get_running_loop()
        for listener in listeners:
            self._listeners.append(await loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG))
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Accept no connection, answer what has arrived (and what arrives within ``STOP_LINGER`` on open
        connections, with ``Connection: close``), then close."""
        self.stopping = True
        for listener in self._listeners:
            listener.close()
        linger = time.monotonic() + STOP_LINGER
        deadline = time.monotonic() + self.limits.drain_timeout
        while self.connections and time.monotonic() < deadline:
            if time.monotonic() > linger:
                for connection in list(self.connections):
                    connection.close_if_idle()
            await asyncio.sleep(0.01)
        await self._interrupt()
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _interrupt(self) -> None:
        """Streamed answers that are not over end with an error, not with a connection that breaks."""
        error = errors.Unavailable("the gateway is stopping, and this answer was not over in time")
        streaming = [connection for connection in self.connections if connection.interrupt(error)]
        deadline = time.monotonic() + INTERRUPTED
        while self.connections.intersection(streaming) and time.monotonic() < deadline:
            for connection in streaming:
                connection.close_if_idle()
            await asyncio.sleep(0.01)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.check_time(now)


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._most_header_bytes = server.limits.max_header_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[messages.Request | messages.Response, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._refused = False  # answered early: what still comes is thrown away
        self._receiving = False
        self._deadline = time.monotonic() + server.limits.read_timeout
        self._unread = math.inf  # until when the caller has to have read some of what it was sent,
        self._left = 0  # which were so many bytes
        self._events: messages.Events | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._writable.set()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._watch_reading(time.monotonic())
        self._writable.clear()

    def resume_writing(self) -> None:
        self._unread = math.inf
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        left: bytes | memoryview | None = data
        while left is not None and not self._refused:
            left = self._feed(left)

    def _feed(self, data: bytes | memoryview) -> memoryview | None:
        """What is still to be read of it."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._refused and self._offered():
                self._repeat_without_upgrade()
                return memoryview(data)[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            # A callback's refusal arrives here, too; then the answer is on its way.
            if not self._refused:
                self._refuse(errors.InvalidInput(f"not a valid HTTP request: {error}"))
        return None

    def _offered(self) -> bool:
        """Whether the request offers to go on in another protocol, as Java's client does with each: it may be answered
        as if it did not (RFC 9110, 7.8). The parser takes what follows its head for the other protocol."""
        return b"upgrade" in self._headers and bool(self._parser.should_upgrade())

    def _repeat_without_upgrade(self) -> None:
        """The head of the request once more, without the offer: what follows is its body."""
        line = b"%b %b HTTP/%b\r\n" % (
            self._parser.get_method(), self._url, self._parser.get_http_version().encode("ascii"),
        )  # fmt: skip
        closing = b"close" in self._headers.get(b"connection", b"").lower()
        kept = [
            (name, value) for name, value in self._headers.items()
            if name not in (b"upgrade", b"connection", b"http2-settings")
        ]  # fmt: skip
        kept += [(b"connection", b"close")] if closing else []
        head = line + b"".join(b"%b: %b\r\n" % each for each in kept) + b"\r\n"
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head)

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._begin()
        if not self._receiving:
            self._receiving = True
            self._deadline = time.monotonic() + self._server.limits.read_timeout

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._header_bytes += len(url)
        if self._header_bytes > self._most_header_bytes:
            self._refuse_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > self._most_header_bytes:
            self._refuse_headers()
        key = name.lower()
        if key in self._headers and key in (b"authorization", b"content-type", b"azureml-model-deployment"):
            self._refuse(errors.InvalidInput(f"the header {key.decode()} is given twice"))
        self._headers[key] = value

    def _refuse_headers(self) -> None:
        self._refuse(_HeadersTooLarge(f"more than {self._most_header_bytes} bytes of headers"))

    def on_headers_complete(self) -> None:
        if self._offered():
            return
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._server.limits.max_body_bytes:
            self._refuse(self._too_large(f"{int(length)} bytes"))
        elif self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._server.limits.max_body_bytes:
            self._refuse(self._too_large(f"more than {self._server.limits.max_body_bytes} bytes"))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._offered():
            return
        self._receiving = False
        if self._refused:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        path, _, query = self._url.decode("latin-1").partition("?")
        if "://" in path and not path.startswith("/"):  # a whole address, as to proxies (RFC 9112, 3.2.2)
            path = "/" + path.partition("://")[2].partition("/")[2]
        method = self._parser.get_method()
        request = messages.Request(
            "POST" if method == b"POST" else method.decode("latin-1"), path, self._headers, body,
            time.perf_counter(), time.time_ns() // 1000, query,
        )  # fmt: skip
        self._waiting.append((request, self._parser.should_keep_alive()))
        if len(self._waiting) >= PIPELINED and self._transport is not None:
            self._transport.pause_reading()
        if self._task is None:
            self._task = self._loop.create_task(self._work())

    # answering

    async def _work(self) -> None:
        while self._waiting:
            request, keep = self._waiting.popleft()
            if isinstance(request, messages.Response):  # refused before it was complete
                self._write(request, keep)
                return
            response = await self._server.handler(request)
            keep = keep and not (self._server.stopping and not self._waiting)
            if response.events is not None:
                keep = await self._stream(response, response.events, keep)
            else:
                self._write(response, keep, request.method == "HEAD")
            if not keep:
                self._finish()
                return
            if not self._writable.is_set():
                await self._writable.wait()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        self._deadline = time.monotonic() + self._server.limits.keep_alive
        self._task = None

    async def _stream(self, response: messages.Response, events: messages.Events, keep: bool) -> bool:
        """Each event in a chunk of its own, no faster than the caller reads; whether the connection can go on. HTTP/1.0
        knows no chunks: there the connection's end is the answer's."""
        chunked = self._parser.get_http_version() != "1.0"
        async with contextlib.aclosing(events):
            self._events = events
            try:
                self._send(
                    self._head(response, b"transfer-encoding: chunked\r\n" if chunked else b"", keep and chunked)
                )
                async for event in events:
                    self._send(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
                    await self._writable.wait()
                if chunked:
                    self._send(b"0\r\n\r\n")
            finally:
                self._events = None
        return keep and chunked

    def _write(self, response: messages.Response, keep: bool, head_only: bool = False) -> None:
        head = self._head(response, b"content-length: %d\r\n" % len(response.body), keep)
        self._send(head if head_only else head + response.body)

    def _send(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    def _head(self, response: messages.Response, length: bytes, keep: bool) -> bytes:
        reason = REASONS.get(response.status, b"")
        lines = [b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b" % (response.status, reason, response.content_type, length)]
        for name, value in response.headers:
            lines.append(b"%b: %b\r\n" % (name, value if value.isalnum() else _one_line(value)))
        if not keep:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _refuse(self, error: errors.DoubleloopError) -> None:
        """Answer now, before the request is complete; earlier requests of the connection are still answered."""
        if self._refused:
            return
        self._refused = True
        self._deadline = time.monotonic() + LINGER
        if self._task is None:
            self._write(messages.failure(error), keep=False)
        else:
            self._waiting.append((messages.failure(error), False))

    def _finish(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _too_large(self, size: str) -> errors.TooLarge:
        return errors.TooLarge(
            f"the body has {size}, the limit is {self._server.limits.max_body_bytes}", cure="send fewer rows at a time"
        )

    # time

    def check_time(self, now: float) -> None:
        if now >= self._unread:
            before = self._left
            self._watch_reading(now)
            if before - self._left < SLOWEST:
                self.abort()
                return
        if now < self._deadline or self._transport is None:
            return
        if self._refused or (self._task is None and not self._receiving):
            self._finish()
        elif self._receiving:
            self._receiving = False
            self._refuse(_TooSlow(f"the request did not arrive within {self._server.limits.read_timeout:.0f} seconds"))

    def _watch_reading(self, now: float) -> None:
        """More is sent than the caller has read: it has some time to read ``SLOWEST`` bytes."""
        if self._transport is not None:
            self._left = self._transport.get_write_buffer_size()
        self._unread = now + self._server.limits.write_timeout

    def close_if_idle(self) -> None:
        if self._task is None and not self._waiting:
            self._finish()

    def interrupt(self, error: errors.DoubleloopError) -> bool:
        """Ends an answer that is being streamed; whether there is one."""
        if self._events is None:
            return False
        self._events.interrupt(error)
        return True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _HeadersTooLarge(errors.InvalidInput):
    code, status = "headers_too_large", 431


class _TooSlow(errors.InvalidInput):
    code, status = "request_timeout", 408


def _one_line(value: bytes) -> bytes:
    return value.replace(b"\r", b" ").replace(b"\n", b" ")
