"""The load generator: one process, standard library alone, blocking sockets under one epoll: ``python load.py``.

Reads an ``Order`` as JSON from standard input, connects, asks, writes a ``Result`` as JSON, ends. Requests are bytes
made before the first is sent. An answer counts only if its status is 200 and its body is, byte for byte, one that was
checked before, or holds the same numbers; everything else is counted as failed or wrong and has no latency.

* **closed**: each connection sends its next request when it has its answer. Counted is what is answered in ``seconds``
  after all connections had an answer (at least ``warm`` seconds, at most ``LONGEST_WARM_UP``).
* **open**: requests are due at a fixed rate, whatever the server does. Each is sent on a free connection, or as soon
  as there is one; its latency counts from the moment at which it was due.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST_WARM_UP = 12.0
# Seconds in which what was sent is waited for when nothing more is sent.
LONGEST_DRAIN = 15.0
# |answered - expected| / max(1, |expected|) of numbers that are the same.
TOLERANCE = 1e-9
CHUNK = 1 << 18
# Below this many seconds to the next request that is due, epoll (which counts in milliseconds) is not waited for.
SPIN = 0.002


@dataclass
class Order:
    """``requests``: whole HTTP requests; ``expected``: for each the predictions; ``place``: the keys that lead to
    them in the answer's JSON. ``rate``: requests a second for the open mode, None for the closed one.
    ``most``: stop after so many answers. ``cpu``: the processor to stay on."""

    host: str
    port: int
    requests: list[str]
    expected: list[list[float]]
    place: list[str | int]
    connections: int
    seconds: float
    warm: float = 0.2
    rate: float | None = None
    most: int | None = None
    cpu: int | None = None


@dataclass
class Result:
    """``latencies``: microseconds, of right answers in the counted time of ``seconds``; ``total``: all right answers.
    ``failed``: no answer, or a status other than 200; ``wrong``: another prediction; ``why``: examples of both."""

    latencies: list[int] = field(default_factory=list)
    seconds: float = 0.0
    total: int = 0
    failed: int = 0
    wrong: int = 0
    why: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class Connection:
    """One socket and what was asked on it last: ``number`` of the request, ``since`` when it counts (None: free)."""

    __slots__ = ("buffer", "number", "since", "sock")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=LONGEST_DRAIN)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.number = 0
        self.since: float | None = None


class Generator:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._requests = [request.encode("latin-1") for request in order.requests]
        self._right: list[set[bytes]] = [set() for _ in order.requests]
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._next = 0
        self._result = Result()
        self._from: float | None = None

    def run(self) -> Result:
        for _ in range(self._order.connections):
            self._connect()
        started = time.perf_counter()
        if self._order.rate is None:
            self._closed(started)
        else:
            self._open(started, self._order.rate)
        for connection in self._connections.values():
            if connection.since is not None:
                self._fail("no answer in time")
            connection.sock.close()
        return self._result

    def _closed(self, started: float) -> None:
        order, result = self._order, self._result
        silent = set(self._connections)
        for connection in list(self._connections.values()):
            self._send(connection, time.perf_counter())
        warm, longest = started + order.warm, started + LONGEST_WARM_UP
        end = float("inf")
        while True:
            for descriptor, _ in self._poll.poll(0.05):
                if self._receive(self._connections[descriptor]):
                    silent.discard(descriptor)
                    if descriptor in self._connections:
                        self._send(self._connections[descriptor], time.perf_counter())
            while len(self._connections) < order.connections:  # the server closed some
                self._send(self._connect(), time.perf_counter())
            now = time.perf_counter()
            if self._from is None:
                silent.intersection_update(self._connections)
                if now >= warm and (not silent or now >= longest):
                    self._from, end = now, now + order.seconds
            elif now >= end or self._enough():
                result.seconds = now - self._from
                break
        self._from = None
        self._drain()

    def _open(self, started: float, rate: float) -> None:
        order = self._order
        due, last = started, started + order.warm + order.seconds
        first = started + order.warm
        waiting: deque[float] = deque()
        free = deque(self._connections.values())
        self._from, self._result.seconds = first, order.seconds
        sent = 0
        while due < last or waiting:
            now = time.perf_counter()
            while due <= now and due < last:
                waiting.append(due)
                sent += 1
                due = started + sent / rate
            free.extend(self._connect() for _ in range(order.connections - len(self._connections)))
            while waiting and free:
                connection = free.popleft()
                if connection.sock.fileno() >= 0:  # else the server closed it while it was free
                    self._send(connection, waiting.popleft())
            if now > last + LONGEST_DRAIN:
                for _ in waiting:
                    self._fail("was never sent: no connection was free")
                break
            idle = min(due, last) - now
            for descriptor, _ in self._poll.poll(0 if idle < SPIN else idle - SPIN / 2):
                if self._receive(self._connections[descriptor]) and descriptor in self._connections:
                    free.append(self._connections[descriptor])
        self._drain()

    def _drain(self) -> None:
        deadline = time.perf_counter() + LONGEST_DRAIN
        while any(each.since is not None for each in self._connections.values()) and time.perf_counter() < deadline:
            for descriptor, _ in self._poll.poll(0.05):
                self._receive(self._connections[descriptor])

    def _enough(self) -> bool:
        return self._order.most is not None and self._result.total >= self._order.most

    def _connect(self) -> Connection:
        connection = Connection((self._order.host, self._order.port))
        self._connections[connection.sock.fileno()] = connection
        self._poll.register(connection.sock.fileno(), select.EPOLLIN)
        return connection

    def _send(self, connection: Connection, since: float) -> None:
        connection.number = self._next
        self._next = (self._next + 1) % len(self._requests)
        connection.since = since
        try:
            connection.sock.sendall(self._requests[connection.number])
        except OSError as error:
            self._lose(connection, str(error))

    def _receive(self, connection: Connection) -> bool:
        """Whether the request was answered, or lost for good."""
        try:
            data = connection.sock.recv(CHUNK)
        except OSError as error:
            return self._lose(connection, str(error))
        if not data:
            return self._lose(connection, "the server closed the connection")
        if connection.buffer:
            data = connection.buffer + data
        found = parse(data)
        if found is None:
            connection.buffer = data
            return False
        connection.buffer = b""
        since, connection.since = connection.since, None
        if since is None:
            self._fail("an answer that nobody asked for")
            return False
        self._judge(connection, since, time.perf_counter(), *found)
        return True

    def _judge(self, connection: Connection, since: float, now: float, status: int, body: bytes, keep: bool) -> None:
        result = self._result
        if status != 200:
            self._fail(f"status {status}: {body[:200].decode(errors='replace')}")
        elif body in self._right[connection.number] or self._check(connection.number, body):
            result.total += 1
            # In the closed mode what is answered in the time counts, in the open one what was due in it.
            if self._from is not None and (self._order.rate is None or since >= self._from):
                result.latencies.append(int((now - since) * 1e6))
        else:
            result.wrong += 1
            self._example(f"wrong: {body[:200].decode(errors='replace')}")
        if not keep:
            self._drop(connection)

    def _check(self, number: int, body: bytes) -> bool:
        if not same(predictions(body, self._order.place), self._order.expected[number]):
            return False
        if len(self._right[number]) < 8:
            self._right[number].add(body)
        return True

    def _lose(self, connection: Connection, why: str) -> bool:
        asked, connection.since = connection.since is not None, None
        self._drop(connection)
        if asked:
            self._fail(why)
        return asked

    def _drop(self, connection: Connection) -> None:
        descriptor = connection.sock.fileno()
        if self._connections.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
            connection.sock.close()

    def _fail(self, why: str) -> None:
        self._result.failed += 1
        self._example(why)

    def _example(self, why: str) -> None:
        if len(self._result.why) < 5 and why not in self._result.why:
            self._result.why.append(why)


def parse(data: bytes) -> tuple[int, bytes, bool] | None:
    """Status, body, and whether the connection stays; None while bytes are missing. Content-Length or chunked."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    status = int(head[9:12])
    keep = b"\r\nconnection: close" not in head
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        stop = head.find(b"\r\n", at + 2)
        length = int(head[at + 17 : stop if stop >= 0 else end])
        return (status, data[end + 4 :], keep) if len(data) == end + 4 + length else None
    if b"\r\ntransfer-encoding: chunked" in head:
        body = _chunks(data, end + 4)
        return None if body is None else (status, body, keep)
    return status, b"", keep


def _chunks(data: bytes, at: int) -> bytes | None:
    parts: list[bytes] = []
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line].split(b";")[0], 16)
        if len(data) < line + 2 + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2


def predictions(body: bytes, place: list[str | int]) -> list[float] | None:
    """The numbers at ``place``, nested lists as one; None when there are none."""
    try:
        found: Any = json.loads(body)
        for key in place:
            found = found[key]
        return [float(each) for each in _flat(found)]
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [inner for each in value for inner in _flat(each)]
    return [value]


def same(found: list[float] | None, expected: list[float]) -> bool:
    return found is not None and len(found) == len(expected) and all(
        abs(one - other) <= TOLERANCE * max(1.0, abs(other)) for one, other in zip(found, expected, strict=True)
    )  # fmt: skip


def main() -> None:
    order = Order(**json.load(sys.stdin))
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    gc.disable()
    json.dump(asdict(Generator(order).run()), sys.stdout)


if __name__ == "__main__":
    main()
