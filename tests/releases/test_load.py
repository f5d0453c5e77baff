"""The load is open-loop: it waits for no answer, and counts what a waiting request has waited."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy import stats

from doubleloop.releases import load, loading


class Server:
    """A small real HTTP/1.1 server. ``answer(number) -> (status, body, keep_open)``; ``hold`` answers nothing until
    that many requests have come."""

    def __init__(self, answer: Any = None, hold: int = 0, chunked: bool = False) -> None:
        self.answer = answer or (lambda number: (200, b"[1.0]", True))
        self.hold = hold
        self.chunked = chunked
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := await reader.readline():
                headers = {"request": line.decode().strip()}
                while (each := (await reader.readline()).decode().strip()) != "":
                    name, _, value = each.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((headers, body))
                number = len(self.requests)
                while len(self.requests) < self.hold:
                    await asyncio.sleep(0.001)
                status, content, keep = self.answer(number)
                if status == 0:
                    return
                writer.write(self._encode(status, content))
                await writer.drain()
                if not keep:
                    return
        finally:
            writer.close()

    def _encode(self, status: int, content: bytes) -> bytes:
        if self.chunked:
            parts = b"".join(b"%x\r\n%s\r\n" % (1, content[i : i + 1]) for i in range(len(content)))
            return b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (status, parts)
        return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


@contextmanager
def running(server: Server) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(server.serve, "127.0.0.1", 0), loop).result()
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/prod/bikes/score"
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listening: asyncio.Server) -> None:
    listening.close()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def send(url: str, **changes: Any) -> dict[str, Any]:
    plan = load.Plan(**{"url": url, "bodies": ["[1]", "[2]"], "rate": 100, "duration_s": 0.3, "warmup": 0, **changes})
    return asyncio.run(load.run(plan))


def test_requests_leave_though_no_answer_comes() -> None:
    """The server answers nothing until 20 requests are there: a closed loop would wait for ever on its first."""
    server = Server(hold=20)
    with running(server) as url:
        found = send(url, arrivals="fixed")
    assert (found["planned"], found["answered"], found["errors"]) == (30, 30, 0)
    # The first was due at 0 and had to wait until the 20th was due, 0.19 s later: the wait is in the latency.
    assert found["latency_ms"]["max"] >= 190


def test_waiting_for_a_connection_counts() -> None:
    server = Server(hold=2)
    with running(server) as url:
        found = send(url, arrivals="fixed", rate=10, duration_s=0.2, connections=2)
    assert found["answered"] == 2
    assert found["latency_ms"]["max"] >= 100  # due at 0, answered once the second, due at 0.1 s, was there


def test_every_request_carries_what_was_asked_for() -> None:
    server = Server()
    with running(server) as url:
        send(url, headers={"Authorization": "Bearer key", "azureml-model-deployment": "blue-r2"}, duration_s=0.05)
    headers, _ = server.requests[0]
    assert headers["request"] == "POST /prod/bikes/score HTTP/1.1"
    assert (headers["authorization"], headers["azureml-model-deployment"]) == ("Bearer key", "blue-r2")
    assert {body for _, body in server.requests} <= {b"[1]", b"[2]"}


def test_connections_are_kept() -> None:
    server = Server()
    with running(server) as url:
        found = send(url, rate=50, duration_s=0.4)
    assert server.connections < found["planned"]


@pytest.mark.parametrize("chunked", [False, True])
def test_both_ways_of_sending_a_body_are_read(chunked: bool) -> None:
    server = Server(answer=lambda number: (200, b'{"a": 1}', True), chunked=chunked)
    with running(server) as url:
        assert send(url)["errors"] == 0


def test_a_kept_connection_that_the_server_has_closed_is_no_error() -> None:
    server = Server(answer=lambda number: (200, b"[1]", False))
    with running(server) as url:
        assert send(url)["errors"] == 0


def test_failed_answers_are_counted_by_kind_and_one_is_shown() -> None:
    server = Server(answer=lambda number: (500, b"out of memory", True) if number % 2 else (200, b"[1]", True))
    with running(server) as url:
        found = send(url, arrivals="fixed")
    assert (found["errors"], found["error_kinds"]) == (15, {"HTTP 500": 15})
    assert found["example_error"] == "out of memory"
    # Half of the requests failed, so the median cannot be better than "no answer"; what is above is unknown.
    assert found["latency_ms"]["p95"] is None


def test_a_server_that_is_not_there_is_an_error_of_every_request() -> None:
    found = send("http://127.0.0.1:9/score", duration_s=0.05, arrivals="fixed")
    assert found["errors"] == found["planned"] == 5
    assert list(found["error_kinds"]) == ["ConnectionRefusedError"]


def test_an_answer_that_never_comes_ends_with_its_time() -> None:
    server = Server(hold=1000)
    with running(server) as url:
        found = send(url, duration_s=0.02, arrivals="fixed", timeout_s=0.2)
    assert found["error_kinds"] == {"timeout": 2}


def test_a_deployment_that_refuses_the_warm_up_gets_no_load() -> None:
    server = Server(answer=lambda number: (400, b"column 'hour' is missing", True))
    with running(server) as url:
        found = send(url, warmup=3)
    assert len(server.requests) == 3
    assert (found["planned"], found["errors"], found["example_error"]) == (3, 3, "column 'hour' is missing")


def test_arrivals_are_a_poisson_process() -> None:
    """Gaps are exponential with mean 1/rate (Kolmogorov-Smirnov against scipy), for a fixed seed."""
    moments = load.schedule(50, 100, "poisson", seed=1)
    gaps = np.diff([0.0, *moments])
    assert stats.kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.01
    assert abs(len(moments) - 5000) < 3 * 5000**0.5
    assert moments == load.schedule(50, 100, "poisson", seed=1)


def test_fixed_arrivals_are_evenly_spaced() -> None:
    assert load.schedule(4, 1.0, "fixed") == [0.0, 0.25, 0.5, 0.75]


def test_percentiles_are_nearest_rank_and_errors_are_slower_than_all() -> None:
    draw = np.random.default_rng(2)
    values = draw.exponential(0.01, 250)
    samples = [load.Sample(0, 0, float(value), 200) for value in values]
    found = load.latencies(samples)
    for name, share in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert found[name] == pytest.approx(np.percentile(values * 1000, share, method="inverted_cdf"), abs=1e-3)
    worse = load.latencies([*samples, *[load.Sample(0, 0, 0.001, 429, "HTTP 429")] * 10])
    assert worse["p99"] is None
    assert worse["p50"] >= found["p50"]  # type: ignore[operator]


def test_it_runs_in_a_process_of_its_own() -> None:
    server = Server()
    with running(server) as url:
        found = loading.run(load.Plan(url, ["[1]"], 50, 0.2, arrivals="fixed"))
    assert (found["planned"], found["errors"]) == (10, 0)
    assert json.dumps(found)
