"""Questions and answers between the gateway's processes, over a pair of connected sockets.

A frame (``wire``) with ``op`` and ``number`` is a question, answered by one with ``re``; without a number it is a note,
which nobody answers. Frames arrive in the order in which they were sent.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from doubleloop.base import errors
from doubleloop.gateway import wire

logger = logging.getLogger(__name__)

# ``hear(op, message)``: what to answer a question with; for a note the answer is thrown away.
Hear = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class Channel(asyncio.Protocol):
    """``gone`` is set when the other process, or this one, has closed it. Questions are begun in the order in which
    they came, and those that take time do not keep the later ones waiting."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._decoder = wire.Decoder()
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(errors.Unavailable("the other process of the gateway has gone"))

    def data_received(self, data: bytes) -> None:
        for message, _ in self._decoder.feed(data):
            if "re" in message:
                future = self._waiting.pop(message["re"], None)
                if future is not None and not future.done():
                    future.set_result(message["answer"])
                continue
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def ask(self, op: str, **message: Any) -> dict[str, Any]:
        """Raises errors.Unavailable when the other process goes before it has answered, errors.Failed when it could
        not do it."""
        if self._transport is None or self._transport.is_closing():
            raise errors.Unavailable("the other process of the gateway has gone")
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"op": op, "number": number, **message})
            answer = await future
        finally:
            self._waiting.pop(number, None)
        if "failed" in answer:
            raise errors.Failed(f"the other process of the gateway could not do '{op}': {answer['failed']}")
        return answer

    def note(self, op: str, **message: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._send({"op": op, **message})

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._transport is not None
        self._transport.write(wire.encode(message))

    async def _answer(self, message: dict[str, Any]) -> None:
        try:
            answer = await self._hear(message["op"], message)
        except Exception as error:
            logger.exception("'%s' of another process of the gateway failed", message["op"])
            answer = {"failed": f"{type(error).__name__}: {error}"}
        if "number" in message and self._transport is not None and not self._transport.is_closing():
            self._send({"re": message["number"], "answer": answer})
