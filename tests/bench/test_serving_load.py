"""The load generator against a real server that does not always do what it should."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.serving import bodies, load, servers

RIGHT, WRONG = [1.5, 2.5], [1.5, 2.6]


class Server(ThreadingHTTPServer):
    """Answers in turn as ``turns`` say; ``given`` counts what was sent whole."""

    daemon_threads = True

    def __init__(self, turns: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.turns, self.given, self.number = turns, Counter[str](), 0
        self.lock = threading.Lock()

    def turn(self) -> str:
        with self.lock:
            self.number += 1
            return self.turns[self.number % len(self.turns)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        turn = self.server.turn()
        with self.server.lock:
            self.server.given[turn] += 1
        if turn == "close":
            self.close_connection = True
        elif turn == "error":
            self._send(500, b"no")
        elif turn == "chunked":
            self._chunked(json.dumps({"predictions": RIGHT}).encode())
        else:
            self._send(200, json.dumps({"predictions": WRONG if turn == "wrong" else RIGHT}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:5])
        self.wfile.flush()  # in two parts: an answer may come so
        self.wfile.write(body[5:])

    def _chunked(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[:7], body[7:], b""):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serving() -> Iterator[Any]:
    started: list[Server] = []

    def serve(*turns: str) -> Server:
        server = Server(list(turns))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield serve
    for server in started:
        server.shutdown()
        server.server_close()


def order(server: Server, **more: Any) -> load.Order:
    requests = [bodies.request("/score", (), b'{"n": %d}' % number) for number in range(3)]
    values: dict[str, Any] = {"connections": 3, "seconds": 0.3, "warm": 0.05, "place": ["predictions"], **more}
    return load.Order("127.0.0.1", server.server_address[1], requests, [RIGHT] * 3, **values)


def test_right_answers_are_counted_and_have_latencies(serving: Any):
    server = serving("right", "chunked")
    result = servers.send(order(server))
    assert (result.failed, result.wrong, result.why) == (0, 0, [])
    assert result.total == server.given["right"] + server.given["chunked"] > 20
    assert 0 < len(result.latencies) <= result.total
    assert result.rate == len(result.latencies) / result.seconds and 0.3 <= result.seconds < 3


@pytest.mark.parametrize("rate", [None, 150.0], ids=["closed", "open"])
def test_errors_wrong_numbers_and_broken_connections_are_counted_each_for_itself(serving: Any, rate: float | None):
    server = serving("right", "error", "wrong", "right", "close")
    result = servers.send(order(server, rate=rate))
    assert result.total == server.given["right"] > 5
    assert result.wrong == server.given["wrong"] > 2
    assert result.failed == server.given["error"] + server.given["close"] > 5
    assert len(result.latencies) <= result.total
    assert {why.split(":")[0] for why in result.why} == {"status 500", "wrong", "the server closed the connection"}


def test_a_server_that_only_fails_has_no_rate(serving: Any):
    server = serving("error")
    result = servers.send(order(server))
    assert (result.latencies, result.total, result.rate) == ([], 0, 0.0)
    assert result.failed == server.given["error"] > 0


def test_nobody_there_is_a_failure_with_its_reason(serving: Any):
    server = serving("right")
    wanted = order(server)
    server.shutdown()
    server.server_close()
    result = servers.send(wanted)
    assert result.failed == 1 and "refused" in result.why[0]


def test_open_load_sends_what_is_due_and_counts_from_when_it_was_due(serving: Any):
    """One connection; the tenth answer hangs for a while, so what was due meanwhile is late, too."""
    server = serving("right")
    pause = threading.Event()
    original = server.turn

    def turn() -> str:
        if server.number == 10:
            pause.wait(0.4)
        return original()

    server.turn = turn
    result = servers.send(order(server, rate=100.0, seconds=1.0, warm=0.0, connections=1))
    assert (result.total, len(result.latencies), result.failed) == (100, 100, 0)
    late = [each for each in result.latencies if each > 100_000]
    assert len(late) >= 20, "only the request that hung is late: the others were not counted from when they were due"


def test_it_stops_after_the_most_that_was_wanted(serving: Any):
    result = servers.send(order(serving("right"), seconds=60.0, most=50))
    assert 50 <= result.total < 200
