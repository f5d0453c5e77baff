"""The admin socket: one JSON object in, one out, then the connection closes. Only this user may connect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from doubleloop.base import errors
from doubleloop.gateway import protocol, supervisor

LARGEST = 1 << 16


class Admin:
    """``drain`` begins the clean stop and returns when everything is logged."""

    def __init__(self, state: supervisor.Supervisor, drain: Callable[[], Awaitable[None]]) -> None:
        self._state, self._drain = state, drain

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            answer = {"answer": await self._answer(line)}
        except errors.DoubleloopError as error:
            answer = error.to_dict()
        except ValueError:
            answer = errors.InvalidInput("one JSON object on one line was expected").to_dict()
        with contextlib.suppress(OSError):
            writer.write(orjson.dumps(answer))
            await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        request = orjson.loads(line)
        op = request.get("op") if isinstance(request, dict) else None
        if op == "status":
            await self._state.gather()
            return protocol.status_to_dict(self._state.status())
        if op == "flush":
            return {"segments": await self._state.flush()}
        if op == "drain":
            await self._drain()
            return {"drained": True}
        raise errors.InvalidInput(f"unknown op {op!r}", cure="status, flush or drain")
