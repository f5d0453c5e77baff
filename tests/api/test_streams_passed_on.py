"""Events of the gateway go through the API as they come, and end with an error when the gateway does."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from doubleloop.api import invoking


class Upstream(ThreadingHTTPServer):
    """Stands for a gateway: sends the events it is given, when it is let, and says when its caller has gone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go_on, self.caller_left = threading.Event(), threading.Event()
        self.whole = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["accept"] != invoking.EVENTS:
            content = json.dumps(asked).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_response(200)
        self.send_header("content-type", invoking.EVENTS)
        self.send_header("x-request-id", "req-1")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self._chunk(b'data: "one"\n\n')
            self.server.go_on.wait(30)
            for _ in range(20_000 if asked == "much" else 1):  # more than all sockets on the way hold
                self._chunk(b'data: "two"\n\n' if asked != "much" else b"data: " + b"2" * 10_000 + b"\n\n")
        except OSError:
            self.server.caller_left.set()
        if self.server.whole:
            self._chunk(b"")
        self.close_connection = True

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def port(upstream: Upstream) -> Iterator[int]:
    """Of a door that passes everything on."""
    app = FastAPI()

    @app.post("/")
    async def door(request: Request) -> Response:
        headers = {"accept": request.headers["accept"]}
        url = f"http://127.0.0.1:{upstream.server_port}/"
        return await invoking.passed_on(httpx.AsyncClient(), url, await request.body(), headers)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    upstream.go_on.set()
    server.should_exit = True
    thread.join(10)


def ask(port: int, body: bytes, accept: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", body, {"accept": accept})
    return connection, connection.getresponse()


def test_a_piece_is_passed_on_before_the_next_is_there(upstream: Upstream, port: int) -> None:
    connection, response = ask(port, b"{}", invoking.EVENTS)
    assert response.getheader("content-type").startswith(invoking.EVENTS)  # type: ignore[union-attr]
    assert response.getheader("x-request-id") == "req-1"
    assert response.readline() == b'data: "one"\n'  # while the other side waits
    upstream.go_on.set()
    assert response.read() == b'\ndata: "two"\n\n'
    connection.close()
    connection, response = ask(port, b'{"a": 1}', "application/json")
    assert (response.status, response.read()) == (200, b'{"a": 1}')
    connection.close()


def test_a_gateway_that_ends_in_the_middle_is_an_error_event(upstream: Upstream, port: int) -> None:
    upstream.whole = False
    upstream.go_on.set()
    connection, response = ask(port, b"{}", invoking.EVENTS)
    *_, name, data = response.read().decode().strip().splitlines()
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "unavailable"
    connection.close()


def test_a_caller_that_goes_away_is_told_to_the_gateway(upstream: Upstream, port: int) -> None:
    connection, response = ask(port, b'"much"', invoking.EVENTS)
    assert response.readline() == b'data: "one"\n'
    response.close()
    connection.close()
    upstream.go_on.set()
    assert upstream.caller_left.wait(30)
