"""Requests that offer to go on in another protocol are answered in this one, with their bodies, one after another; so
are those to a whole address."""

from __future__ import annotations

import asyncio
import socket

import pytest

from doubleloop.gateway import limits, messages, server

# What Java's java.net.http.HttpClient sends with each request, unless it is told HTTP_1_1.
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
PLAIN = b"POST /a HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Length: 4\r\n\r\nbody"
CHUNKED = b"POST /b HTTP/1.1\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
EMPTY = b"GET /c?d HTTP/1.1\r\n" + OFFER + b"\r\n"
WHOLE = b"GET http://x:8080/c?d HTTP/1.1\r\n\r\n"
LAST = (
    b"POST /e HTTP/1.1\r\nExpect: 100-continue\r\n"
    + OFFER.replace(b"Upgrade,", b"close, Upgrade,")
    + b"Content-Length: 1\r\n\r\n."
)
SAID = ["POST /a ? body", "POST /b ? onetwo", "GET /c ?d ", "GET /c ?d ", "POST /e ? ."]


def test_thousands_in_one_piece_are_read_one_after_another() -> None:
    seen = []

    async def handle(request: messages.Request) -> messages.Response:
        seen.append(request.path)
        return messages.as_json({})

    async def run() -> None:
        connection = server.Connection(server.Server(handle, limits.Limits()))
        connection.data_received(EMPTY * 3000)
        while connection._task is not None:
            await asyncio.sleep(0)

    asyncio.run(run())
    assert seen == ["/c"] * 3000


@pytest.mark.parametrize("step", [1, 7, 100000])
def test_an_offered_upgrade_is_passed_over(step: int) -> None:
    seen = []

    async def handle(request: messages.Request) -> messages.Response:
        seen.append(f"{request.method} {request.path} ?{request.query} {request.body.decode()}")
        return messages.as_json({})

    async def run() -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        serving = server.Server(handle, limits.Limits())
        await serving.start([listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        sent = PLAIN + CHUNKED + EMPTY + WHOLE + LAST
        for start in range(0, len(sent), step):
            writer.write(sent[start : start + step])
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await serving.stop()
        return answer

    answer = asyncio.run(run())
    assert seen == SAID
    assert answer.count(b"HTTP/1.1 200 OK") == 5 and answer.count(b"100 Continue") == 1
    assert answer.count(b"connection: close") == 1
