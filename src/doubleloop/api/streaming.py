"""Answers that grow: what takes long tells how far it is, line by line, and is ended when the caller goes away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi.responses import StreamingResponse

from doubleloop.base import errors

Work = Callable[[Callable[[str], None], threading.Event], dict[str, Any]]
MEDIA_TYPE = "application/x-ndjson"


def answer(work: Work, name: str) -> StreamingResponse:
    """``{"progress": "text"}`` lines, the last ``{"result"}`` or ``{"error"}``. ``work`` gets what hears its progress
    and an event that is set when nobody listens any more; it runs in a thread of its own."""
    return StreamingResponse(lines(work, name), media_type=MEDIA_TYPE)


async def lines(work: Work, name: str) -> AsyncIterator[str]:
    loop, told, stop = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None](), threading.Event()

    def tell(line: dict[str, Any] | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(told.put_nowait, line)

    def run() -> None:
        try:
            tell({"result": work(lambda text: tell({"progress": text}), stop)})
        except errors.DoubleloopError as error:
            tell(error.to_dict())
        finally:
            tell(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        while (line := await told.get()) is not None:
            yield json.dumps(line) + "\n"
    finally:
        stop.set()
