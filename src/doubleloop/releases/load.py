"""An open-loop load on an HTTP endpoint: requests leave at times drawn beforehand, whether answers come or not.

A closed loop (send, wait, send) slows down with the server and so hides its worst moments, which is known as
coordinated omission (G. Tene, "How NOT to Measure Latency", 2013). Here each latency counts from the moment the
request was *due*, so waiting for a free connection, or for a busy sender, is part of it.

Standard library only. ``python -m doubleloop.releases.load < plan.json > result.json`` runs it in a process of its
own, so that nothing else of the system stands between a request and its clock.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import ssl
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

ON_TIME_S = 0.05
MAX_REQUESTS = 1_000_000
BODY_SHOWN = 500


@dataclass(frozen=True)
class Plan:
    """``rate`` in requests a second, times in seconds. ``bodies`` are sent in turn. ``arrivals``: poisson or fixed."""

    url: str
    bodies: Sequence[str]
    rate: float
    duration_s: float
    headers: dict[str, str] = field(default_factory=dict)
    arrivals: str = "poisson"
    seed: int = 1
    timeout_s: float = 30.0
    connections: int = 256
    warmup: int = 3


@dataclass(frozen=True)
class Sample:
    """One request: when it was due and when it left (s from the start), latency from due (s), status or 0, problem."""

    due: float
    sent: float
    latency: float
    status: int
    problem: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def schedule(rate: float, duration_s: float, arrivals: str = "poisson", seed: int = 1) -> list[float]:
    """The moments (s from the start) at which requests are due: every 1/rate, or a Poisson process of that rate."""
    if arrivals == "fixed":
        return [index / rate for index in range(min(MAX_REQUESTS, math.ceil(rate * duration_s)))]
    if arrivals != "poisson":
        raise ValueError(f"'{arrivals}' is not a kind of arrivals; use poisson or fixed")
    draw = random.Random(seed)
    moments: list[float] = []
    at = draw.expovariate(rate)
    while at < duration_s and len(moments) < MAX_REQUESTS:
        moments.append(at)
        at += draw.expovariate(rate)
    return moments


class ConnectionGone(Exception):
    """A kept connection was closed by the server before it answered anything: the request may go on another."""


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.used = False

    async def ask(self, head: bytes, body: bytes) -> tuple[int, bytes, bool]:
        """Status, body, and whether the connection stays open."""
        try:
            self._writer.write(head + body)
            line = await self._reader.readline()
        except ConnectionError as error:
            raise ConnectionGone(str(error)) from error
        if not line:
            raise ConnectionGone("closed")
        self.used = True
        version, status = line.split(b" ", 2)[:2]
        headers = await self._headers()
        keep = headers.get("connection", "").lower() != "close" and version == b"HTTP/1.1"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return int(status), await self._chunks(), keep
        if "content-length" in headers:
            return int(status), await self._reader.readexactly(int(headers["content-length"])), keep
        return int(status), (b"" if status in (b"204", b"304") else await self._reader.read()), False

    async def _headers(self) -> dict[str, str]:
        headers = {}
        while (line := await self._reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    async def _chunks(self) -> bytes:
        parts = []
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        while (await self._reader.readline()).strip():
            pass
        return b"".join(parts)

    def close(self) -> None:
        self._writer.close()


class Target:
    """One address and the connections to it that are kept open."""

    def __init__(self, plan: Plan) -> None:
        parts = urlsplit(plan.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{plan.url}' is not an http address")
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._idle: deque[Connection] = deque()
        self._free = asyncio.Semaphore(plan.connections)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json", **plan.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._head = f"POST {path} HTTP/1.1\r\n{lines}".encode("latin-1")

    async def post(self, body: bytes) -> tuple[int, bytes]:
        head = self._head + b"Content-Length: %d\r\n\r\n" % len(body)
        async with self._free:
            while True:
                connection, fresh = await self._connection()
                kept = False
                try:
                    status, answer, kept = await connection.ask(head, body)
                    return status, answer
                except ConnectionGone as error:
                    if fresh:
                        raise ConnectionError(f"the server closed the connection: {error}") from error
                finally:
                    if kept:
                        self._idle.append(connection)
                    else:
                        connection.close()

    async def _connection(self) -> tuple[Connection, bool]:
        if self._idle:
            return self._idle.pop(), False
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        return Connection(reader, writer), True

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


async def run(plan: Plan) -> dict[str, Any]:
    """The measurements (``summary``) of one load, or of its failed warm-up. Raises ValueError for an empty plan."""
    if not plan.bodies:
        raise ValueError("there is no request body to send")
    target = Target(plan)
    bodies = [body.encode() for body in plan.bodies]
    loop = asyncio.get_running_loop()
    first = [
        await _one(target, bodies[index % len(bodies)], plan, loop.time(), loop.time()) for index in range(plan.warmup)
    ]
    if plan.warmup and not any(sample.ok for sample, _ in first):
        target.close()
        return summary(plan, [sample for sample, _ in first], shown=first[-1][1])
    samples: list[Sample] = []
    shown = ""

    async def send(due: float, body: bytes) -> None:
        nonlocal shown
        sample, answer = await _one(target, body, plan, began, began + due)
        samples.append(sample)
        if not sample.ok and not shown:
            shown = answer

    gc.collect()
    gc.disable()
    began = loop.time()
    tasks = []
    for index, due in enumerate(schedule(plan.rate, plan.duration_s, plan.arrivals, plan.seed)):
        wait = began + due - loop.time()
        # Even when late, give way: answers must be read while requests leave.
        await asyncio.sleep(max(0.0, wait))
        tasks.append(asyncio.ensure_future(send(due, bodies[index % len(bodies)])))
    await asyncio.gather(*tasks)
    gc.enable()
    target.close()
    return summary(plan, samples, shown)


async def _one(target: Target, body: bytes, plan: Plan, began: float, due: float) -> tuple[Sample, str]:
    loop = asyncio.get_running_loop()
    sent = loop.time()
    status, problem, answer = 0, "", b""
    try:
        async with asyncio.timeout_at(due + plan.timeout_s):
            status, answer = await target.post(body)
    except TimeoutError:
        problem = "timeout"
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        problem = type(error).__name__
    if status and not 200 <= status < 300:
        problem = f"HTTP {status}"
    sample = Sample(due - began, sent - began, loop.time() - due, status, problem)
    return sample, answer[:BODY_SHOWN].decode("utf-8", "replace")


def summary(plan: Plan, samples: Sequence[Sample], shown: str = "") -> dict[str, Any]:
    """What is judged: counts, rates, latencies in ms (None where errors reach that far), and a timeline by second."""
    planned = len(samples)
    good = [sample for sample in samples if sample.ok]
    ends = max((sample.due + sample.latency for sample in samples), default=0.0)
    return {
        "rate": plan.rate, "duration_s": plan.duration_s, "arrivals": plan.arrivals, "planned": planned,
        "answered": len(good), "errors": planned - len(good),
        "error_kinds": dict(Counter(sample.problem for sample in samples if not sample.ok)),
        "example_error": shown,
        "achieved_rate": round(len(good) / max(ends, plan.duration_s), 3) if planned else 0.0,
        "sent_on_time": round(sum(s.sent - s.due <= ON_TIME_S for s in samples) / planned, 4) if planned else 1.0,
        "latency_ms": latencies(samples),
        "timeline": _timeline(samples),
    }  # fmt: skip


def latencies(samples: Sequence[Sample]) -> dict[str, float | None]:
    """Nearest-rank percentiles in ms over *all* requests: one without a good answer is slower than every answer,
    so a server cannot look quicker by refusing work."""
    ranked = sorted(sample.latency * 1000 if sample.ok else math.inf for sample in samples)
    found: dict[str, float | None] = {}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        value = ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.inf
        found[name] = round(value, 3) if math.isfinite(value) else None
    good = [each for each in ranked if math.isfinite(each)]
    found["mean"] = round(sum(good) / len(good), 3) if good else None
    return found


def _timeline(samples: Sequence[Sample]) -> list[list[float]]:
    """[second, requests due, errors, worst latency in ms of the answered] for each second of the load."""
    seconds: dict[int, list[Sample]] = {}
    for sample in samples:
        seconds.setdefault(int(sample.due), []).append(sample)
    return [
        [
            second,
            len(held),
            sum(not sample.ok for sample in held),
            round(max((sample.latency * 1000 for sample in held if sample.ok), default=0.0), 3),
        ]
        for second, held in sorted(seconds.items())
    ]


def main() -> int:
    plan = Plan(**json.load(sys.stdin))
    json.dump(asyncio.run(run(plan)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
