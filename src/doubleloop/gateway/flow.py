"""The pieces of one streamed answer on their way from a scorer to the caller: no more than there is room for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from doubleloop.gateway import failures

# Bytes of pieces that a scorer may send before the caller has taken some: what most answers have in all, so that the
# model need not wait for a slow reader, and little enough for many such readers.
WINDOW = 64 * 1024

Answer = tuple[dict[str, Any], bytes]


class Flow:
    """``done`` is the frame that ends it, or why there is none. ``room(bytes)`` tells the scorer that the caller took
    so many; ``left()`` is called once, when nobody waits any more. ``timeout`` between two pieces in seconds."""

    def __init__(
        self, done: asyncio.Future[Answer], room: Callable[[int], None], left: Callable[[], None], timeout: float
    ) -> None:
        self._done, self._room, self._left, self._timeout = done, room, left, timeout
        self._pieces: deque[bytes] = deque()
        self._came = asyncio.Event()
        self._taken = 0
        self._closed = False
        self.begun = False
        done.add_done_callback(lambda _: self._came.set())

    def put(self, piece: bytes) -> None:
        self.begun = True
        if not self._closed:
            self._pieces.append(piece)
            self._came.set()

    async def following(self) -> bytes | Answer:
        """The next piece, or the frame that ends it. Raises as ``Pool.submit`` does, and failures.TimedOut when no
        piece came for too long; the pool looks after the time to the first."""
        while not self._pieces:
            if self._done.done():
                return self._done.result()
            self._came.clear()
            try:
                async with asyncio.timeout(self._timeout if self.begun else None):
                    await self._came.wait()
            except TimeoutError:
                what = f"no further piece within {self._timeout * 1000:.0f} ms"
                raise failures.TimedOut(what, cure="raise request_timeout_ms") from None
        piece = self._pieces.popleft()
        self._take(len(piece))
        return piece

    def _take(self, size: int) -> None:
        """The scorer is told now and then: a frame for each piece would cost more than it gains."""
        self._taken += size
        if self._taken >= WINDOW // 2 and not self._done.done():
            self._room(self._taken)
            self._taken = 0

    def interrupt(self, error: Exception) -> None:
        """No more is waited for: ``error`` comes after the pieces that are here."""
        if not self._done.done():
            self._done.set_exception(error)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._pieces.clear()
        if not self._done.done():
            self._done.cancel()
        elif not self._done.cancelled():
            self._done.exception()  # it has been looked at
        self._left()
