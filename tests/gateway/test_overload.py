"""More work than there is room for, too slow work, and callers that go away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import orjson
import pytest
from gateway_harness import KEY, PROCESSES, Answer, Gateway, endpoint, wait_for

from doubleloop.gateway import protocol

Script = Callable[..., protocol.Deployment]


def counters(gateway: Gateway) -> protocol.Counters:
    return gateway.status().endpoints["shop/bikes"].deployments["blue"].counters


def busy(gateway: Gateway, count: int, seconds: float = 1.0) -> list[threading.Thread]:
    """``count`` slow requests under way."""

    def send() -> None:
        answers.append(gateway.client().score("shop/bikes", {"data": [[1]], "sleep": seconds}))

    answers: list[Answer] = []
    threads = [threading.Thread(target=send, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    wait_for(lambda: counters(gateway).in_flight == count, "the requests to arrive")
    return threads


def raw_request(body: bytes) -> bytes:
    return (
        b"POST /shop/bikes/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer "
        + KEY.encode()
        + b"\r\ncontent-length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )


@pytest.mark.skipif(bool(PROCESSES), reason="each process has a queue of its own")
def test_a_full_queue_is_429_with_retry_after(gateway: Gateway, script: Script) -> None:
    gateway.options["queue_per_instance"] = 2
    blue = script("dep-1", max_queue_wait_ms=20_000, request_timeout_ms=30_000)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    threads = busy(gateway, 3, seconds=2.0)
    answer = gateway.client().score("shop/bikes", {"data": [[1]]})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert "the queue is full (2 requests wait)" in answer.error["message"]
    for thread in threads:
        thread.join()
    now = counters(gateway)
    assert (now.requests, now.throttled, now.in_flight) == (4, 1, 0)


@pytest.mark.skipif(bool(PROCESSES), reason="each process has a queue of its own")
def test_waiting_longer_than_the_deployment_allows_is_429(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", max_queue_wait_ms=50)})})
    working = busy(gateway, 1, seconds=3.0)
    answer = gateway.client().score("shop/bikes", {"data": [[1]]})
    assert answer.status == 429
    assert "no scorer was free within 50 ms" in answer.error["message"]
    for thread in working:
        thread.join()


def test_an_answer_that_comes_too_late_is_504_and_the_scorer_goes_on(gateway: Gateway, script: Script) -> None:
    blue = script("dep-1", request_timeout_ms=300, max_queue_wait_ms=5000)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    pids = gateway.scorers()
    client = gateway.client()
    answer = client.score("shop/bikes", {"data": [[1]], "sleep": 1.0})
    assert (answer.status, answer.error["code"]) == (504, "timed_out")
    wait_for(lambda: client.score("shop/bikes", {"data": [[1, 1]]}).status == 200, "the scorer to be free")
    assert gateway.scorers() == pids


def test_a_stuck_scorer_is_replaced(gateway: Gateway, script: Script) -> None:
    gateway.options["stuck_after"] = 0.3
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", request_timeout_ms=300)})})
    client = gateway.client()
    assert client.score("shop/bikes", {"data": [[1]], "sleep": 600}).status == 504
    wait_for(lambda: client.score("shop/bikes", {"data": [[1, 1]]}).status == 200, "another scorer")


def test_a_caller_that_goes_away_frees_its_place(gateway: Gateway, script: Script) -> None:
    blue = script("dep-1", max_concurrent_requests_per_instance=2, max_queue_wait_ms=20_000, request_timeout_ms=30_000)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    working = busy(gateway, 1, seconds=6.0)
    connections = []
    for _ in range(5):  # one waits in the scorer, four in the queue
        connection = socket.create_connection(("127.0.0.1", gateway.port))
        connection.sendall(raw_request(orjson.dumps({"data": [[1]], "sleep": 20})))
        connections.append(connection)
    wait_for(lambda: counters(gateway).in_flight == 6, "all six")
    for connection in connections:
        connection.close()
    wait_for(lambda: counters(gateway).cancelled == 5, "five to be cancelled")
    assert gateway.client().score("shop/bikes", {"data": [[1, 1]]}).status == 200
    for thread in working:
        thread.join()
    now = counters(gateway)
    assert (now.requests, now.in_flight) == (2, 0)


@pytest.mark.slow
def test_slow_and_broken_connections_are_answered_or_closed(gateway: Gateway, script: Script) -> None:
    gateway.options |= {"read_timeout": 0.5, "max_header_bytes": 2000}
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})

    def send(data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
            connection.sendall(data)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    complete = raw_request(b'{"data": [[1, 2]]}')
    assert send(complete[:-5]).startswith(b"HTTP/1.1 408 ")
    assert send(complete[:30]).startswith(b"HTTP/1.1 408 ")
    assert send(b"hello there\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert send(b"GET / HTTP/1.1\r\nx: " + b"y" * 5000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    two = send(complete + complete.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nconnection: close\r\n"))
    assert two.count(b"HTTP/1.1 200 OK") == 2
    chunked = complete.partition(b"content-length")[0] + (
        b"transfer-encoding: chunked\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n"
        b'9\r\n{"data": \r\n8\r\n[[1, 2]]\r\n1\r\n}\r\n0\r\n\r\n'
    )
    answer = send(chunked)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"[3]")
    with_body = send(complete + b"rubbish after a whole request\r\n\r\n")
    assert with_body.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400 " in with_body
