"""The gateway's side of ``rotation``: keeps the child process, hands it segments, waits for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from pathlib import Path
from typing import Any

import orjson

from doubleloop.base import priority

logger = logging.getLogger(__name__)

NICE = 15
# Seconds that a segment may take in the background. Where others keep all processors busy for longer, the log is late:
# then it is converted at a share of its own.
PATIENCE = 10.0


class Converter:
    """Segments in, Parquet out. A segment that fails stays on disk and is tried again at the next start."""

    def __init__(self) -> None:
        self._waiting: dict[str, bool] = {}  # segment -> wait for its lock
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._late = False
        self.done = 0
        self.torn = 0
        self.failed: dict[str, str] = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def add(self, segment: Path, wait: bool = True) -> None:
        self._waiting[str(segment)] = wait
        self._idle.clear()
        self._wake.set()

    async def flush(self) -> None:
        """Returns when every segment given so far was converted or has failed; those that failed before (a full
        disk, perhaps) are tried once more."""
        for segment in self.failed:
            self.add(Path(segment))
        await self._idle.wait()

    async def stop(self) -> None:
        await self._idle.wait()
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                self._idle.set()
                if self._stopping:
                    break
                self._wake.clear()
                await self._in_time()
                await self._wake.wait()
                continue
            segment, wait = next(iter(self._waiting.items()))
            answer = await self._convert(segment, wait)
            self._waiting.pop(segment, None)
            self._note(segment, answer)
        await self._close()

    async def _convert(self, segment: str, wait: bool) -> dict[str, Any]:
        request = orjson.dumps({"segment": segment, "wait": wait}) + b"\n"
        for _ in range(3):  # converting is repeatable: once more when the child was killed, or had to be
            with contextlib.suppress(OSError):
                line = await self._answer(await self._child(), request)
                if line.endswith(b"\n"):
                    result: dict[str, Any] = orjson.loads(line)
                    return result
            self._process = None
        return {"segment": segment, "error": "the process that writes Parquet ended three times on this segment"}

    async def _answer(self, process: asyncio.subprocess.Process, request: bytes) -> bytes:
        """A line, or what there is of it when the child ends."""
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(request)
        await process.stdin.drain()
        try:
            async with asyncio.timeout(None if self._late else PATIENCE):
                return await process.stdout.readline()
        except TimeoutError:
            logger.info("the log is %.0f s late: it becomes Parquet at a share of its own", PATIENCE)
            self._late = True
            process.kill()
            await process.wait()
            return b""

    async def _in_time(self) -> None:
        """Nothing is late any more: the next child is in the background again."""
        if self._late:
            self._late = False
            await self._close()
            self._process = None

    def _note(self, segment: str, answer: dict[str, Any]) -> None:
        if "error" in answer:
            logger.error("segment %s could not become Parquet: %s", segment, answer["error"])
            self.failed[segment] = str(answer["error"])
            return
        self.failed.pop(segment, None)
        self.done += answer["parquet"] is not None
        self.torn += answer["torn"]
        if answer["torn"]:
            logger.warning("segment %s had %d unreadable lines", segment, answer["torn"])

    async def _child(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            # In this session: Linux's autogroups give each one a share, and what is in the background only is so there.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "doubleloop.gateway.rotation",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            with contextlib.suppress(ProcessLookupError):  # it has ended: whoever reads finds out
                (priority.lower if self._late else priority.background)(NICE, self._process.pid)
        return self._process

    async def _close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
