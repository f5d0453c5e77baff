"""The connection to one scorer: what it was sent and has not answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from doubleloop.base import masking
from doubleloop.gateway import wire

Answered = Callable[[int, dict[str, Any], bytes], None]


class Link:
    """``answered(id, header, body)`` is called for each answer, and for each piece of one.

    ``in_flight`` are the ids sent and not yet answered, oldest (the one being worked on) first.
    """

    def __init__(self, answered: Answered) -> None:
        self.in_flight: dict[int, None] = {}
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        # Values that no caller may see, by the variable that the scorer has them in.
        self._secrets: dict[str, str] = {}

    def connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def received(self, header: dict[str, Any], body: bytes) -> None:
        if header.get("op") == "piece":
            self._answered(header["id"], header, body)
        elif header.get("op") == "answer":
            self.in_flight.pop(header["id"], None)
            if "error" in header:
                header["error"] = self.masked(header["error"])
            self._answered(header["id"], header, body)

    def masked(self, report: Any) -> Any:
        """A scorer's report of an error: a mapping of texts."""
        if not self._secrets or not isinstance(report, dict):
            return report
        values = self._secrets.values()
        return {key: masking.mask(each, values) if isinstance(each, str) else each for key, each in report.items()}

    def lost(self) -> None:
        """The connection is gone, or what it leads to must go."""
        raise NotImplementedError

    def send(self, number: int, header: dict[str, Any], body: bytes) -> None:
        self.in_flight[number] = None
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "score", "id": number, **header}, body))

    def more(self, number: int, room: int) -> None:
        """There is room for so many more bytes of the pieces of an answer."""
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "more", "id": number, "room": room}))

    def review(self, header: dict[str, Any], body: bytes) -> None:
        if self._transport is not None:
            self.write(wire.to_scorer({"op": "review", **header}, body))

    def write(self, frame: bytes) -> None:
        """At the end of this turn of the loop, with the others of the turn: a write for each would cost more than the
        rest of a small request, and would wake the scorer for the first of those that it could score together."""
        if not self._frames:
            self._loop.call_soon(self._flush)
        self._frames.append(frame)

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def cancel(self, number: int) -> bool:
        """Drops a request that has not begun; False for the one that may be worked on.

        That one is asked to be dropped all the same: where several processes send to a scorer, it may be waiting for
        another's, and then an answer comes that says so.
        """
        if self._transport is None or number not in self.in_flight:
            return False
        first = next(iter(self.in_flight)) == number
        self.write(wire.to_scorer({"op": "cancel", "id": number, "answer": first}))
        if not first:
            del self.in_flight[number]
        return not first


class Receiver(asyncio.Protocol):
    """A connection that a scorer made. Its first frame says a token; ``claim`` gives the link that waits for it, or
    None for a stranger, who is cut off."""

    def __init__(self, claim: Callable[[str], Link | None]) -> None:
        self._claim = claim
        self._decoder = wire.Decoder()
        self._link: Link | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        for header, body in self._decoder.feed(data):
            if self._link is not None:
                self._link.received(header, body)
                continue
            self._link = self._claim(str(header.get("token"))) if header.get("op") == "hello" else None
            if self._link is None:
                self._transport.abort()
                return
            self._link.connected(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._link is not None:
            self._link.lost()
