"""More processes that answer requests on the gateway's port: started, told what to serve, kept alive, asked.

Only the gateway's first process starts scorers, turns logs into Parquet, keeps counts and answers the control plane. A
front reads requests, checks them, asks the scorers over connections of its own, logs and answers; once a second, and
whenever somebody wants to know, it hands over what it has counted. See ``front`` for its side.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from doubleloop.base import errors
from doubleloop.gateway import channel, paths
from doubleloop.gateway import limits as limit

if TYPE_CHECKING:
    from doubleloop.gateway.running import Running
    from doubleloop.gateway.scorers import Scorer

logger = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.1, 10.0, 30.0
# Seconds that a scorer may take to connect to a front (it may be scoring just then), and a front to say its counts.
JOIN_SECONDS, ANSWER_SECONDS = 10.0, 5.0
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Gauges:
    """What is in other processes now."""

    in_flight: int = 0
    queued: int = 0


@dataclass(frozen=True)
class Calls:
    """What fronts need of the first process. ``running``: everything that has a scorer, by number; ``counted`` takes
    what a front has counted; ``closed_segment`` a part of a log that is to be Parquet; ``died`` is called when a front
    is gone (its logs may have been left open); ``metrics`` makes the text of ``/metrics``."""

    running: Callable[[], Iterable[Running]]
    counted: Callable[[dict[str, Any]], None]
    closed_segment: Callable[[Path], None]
    died: Callable[[], None]
    metrics: Callable[[], Any]


class Front:
    """One process, and what it was last heard to hold."""

    def __init__(self, slot: int, listeners: list[socket.socket]) -> None:
        self.slot, self.listeners = slot, listeners
        self.process: asyncio.subprocess.Process | None = None
        self.channel: channel.Channel | None = None
        self.gauges: dict[int, Gauges] = {}
        self.told: bytes = b""
        self.telling = asyncio.Lock()

    @property
    def live(self) -> bool:
        return self.channel is not None and not self.channel.gone.is_set()


class Fronts:
    def __init__(self, home: Path, limits: limit.Limits) -> None:
        self._home, self._limits = home, limits
        self._fronts: list[Front] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._tellers: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._state: bytes = b""
        self._calls: Calls | None = None
        self._stopping = False

    def number(self) -> int:
        """A number of its own for each deployment id that runs."""
        return next(self._numbers)

    def start(self, listeners: list[list[socket.socket]], calls: Calls) -> None:
        """A front for each set of listening sockets."""
        self._calls = calls
        self._fronts = [Front(slot, each) for slot, each in enumerate(listeners, start=1)]
        self._keepers = [asyncio.create_task(self._keep_alive(front)) for front in self._fronts]

    def gauges(self, number: int) -> Gauges:
        """Of one running deployment, in all fronts, as last heard."""
        held = [front.gauges[number] for front in self._fronts if front.live and number in front.gauges]
        return Gauges(sum(each.in_flight for each in held), sum(each.queued for each in held))

    @property
    def settled(self) -> bool:
        """Whether every front serves what it was told last."""
        return all(front.live and front.told == self._state for front in self._fronts)

    def tell(self, state: Callable[[], dict[str, Any]]) -> None:
        """What is to be served from now on."""
        if not self._fronts:
            return
        self._state = orjson.dumps(state())
        for front in self._fronts:
            if front.live and front.told != self._state:
                task = asyncio.create_task(self._tell(front))
                self._tellers.add(task)
                task.add_done_callback(self._tellers.discard)

    async def introduce(self, running: Running, scorer: Scorer) -> None:
        """Returns when each front reaches the scorer, or will not."""
        await asyncio.gather(*(self._introduce(front, running, scorer) for front in self._fronts if front.live))

    async def retire(self, token: str) -> None:
        """Returns when no front uses the scorer any more."""
        await self._all("retire", token=token)

    async def let_go(self, number: int) -> None:
        """Returns when no front has a request of the deployment any more, and its logs and counts are handed over."""
        await self._all("let_go", running=number)
        await self.gather()
        for front in self._fronts:
            if front.channel is not None:
                front.channel.note("forget", running=number)

    def give_up_near(self, number: int) -> None:
        """No front answers by the deployment's plan any more."""
        for front in self._fronts:
            if front.channel is not None:
                front.channel.note("give_up_near", running=number)

    async def rotate(self) -> None:
        """Every front hands over the logs that it has open."""
        await self._all("rotate")

    async def gather(self) -> None:
        """What the fronts have counted is counted here when it returns."""
        await asyncio.gather(*(self._gather(front) for front in self._fronts if front.live))

    async def stop(self) -> None:
        """Finishes what they have in flight; returns when they have ended."""
        self._stopping = True
        await asyncio.gather(*(self._stop(front) for front in self._fronts))
        for task in self._keepers:
            task.cancel()
        for front in self._fronts:
            for listener in front.listeners:
                listener.close()
            paths.front_socket(self._home, front.slot).unlink(missing_ok=True)

    async def _all(self, op: str, **message: Any) -> None:
        async def one(front: Front) -> None:
            assert front.channel is not None
            with contextlib.suppress(errors.Unavailable):  # a front that ends holds nothing any more
                await front.channel.ask(op, **message)

        await asyncio.gather(*(one(front) for front in self._fronts if front.live))

    async def _keep_alive(self, front: Front) -> None:
        delay = FIRST_DELAY
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._run(front)
            except Exception:
                logger.exception("front %d cannot be started", front.slot)
            front.gauges.clear()
            if self._stopping:
                return
            assert self._calls is not None
            self._calls.died()
            logger.warning("front %d ended, starting another", front.slot)
            if time.monotonic() - began > HEALTHY_AFTER:
                delay = FIRST_DELAY
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _run(self, front: Front) -> None:
        ours, theirs = socket.socketpair()
        given = [theirs.fileno(), *(listener.fileno() for listener in front.listeners)]
        order = {"home": str(self._home), "slot": front.slot, "channel": given[0], "listeners": given[1:],
                 "limits": asdict(self._limits)}  # fmt: skip
        with theirs:
            front.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "doubleloop.gateway.front", orjson.dumps(order).decode(),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=given, start_new_session=True,
            )  # fmt: skip
        loop = asyncio.get_running_loop()
        talk = channel.Channel(lambda op, message: self._hear(front, op, message))
        await loop.create_connection(lambda: talk, sock=ours)
        front.channel, front.told = talk, b""
        try:
            with contextlib.suppress(errors.Unavailable):
                await self._open(front)
                await talk.gone.wait()
        finally:
            talk.close()
            with contextlib.suppress(ProcessLookupError):
                front.process.send_signal(signal.SIGKILL)
            await front.process.wait()
            front.channel = None

    async def _open(self, front: Front) -> None:
        """It answers requests only when it can reach everything that a request may be for."""
        assert front.channel is not None and self._calls is not None
        pairs = [(running, scorer) for running in self._calls.running() for scorer in running.ready_scorers()]
        await asyncio.gather(*(self._introduce(front, running, scorer) for running, scorer in pairs))
        await self._tell(front)
        await front.channel.ask("open")

    async def _tell(self, front: Front) -> None:
        async with front.telling:
            state = self._state
            if not state or front.told == state or front.channel is None:
                return
            with contextlib.suppress(errors.Unavailable):
                await front.channel.ask("state", state=orjson.loads(state))
                front.told = state

    async def _introduce(self, front: Front, running: Running, scorer: Scorer) -> None:
        assert front.channel is not None
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await front.channel.ask(
                    "expect", running=running.number, token=scorer.token, place=[running.workspace, running.endpoint],
                    name=running.name, deployment=asdict(running.deployment), description=running.description,
                )  # fmt: skip
                scorer.join(paths.front_socket(self._home, front.slot))
                await front.channel.ask("joined", token=scorer.token)
        except errors.Unavailable:
            return
        except TimeoutError:
            logger.warning("a scorer of %s has not reached front %d yet", running.name, front.slot)

    async def _gather(self, front: Front) -> None:
        assert front.channel is not None and self._calls is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._take(front, await front.channel.ask("counts"))
        except (errors.Unavailable, TimeoutError):
            return

    def _take(self, front: Front, said: dict[str, Any]) -> None:
        assert self._calls is not None
        front.gauges = {int(number): Gauges(*each) for number, each in said["gauges"].items()}
        self._calls.counted(said)

    async def _stop(self, front: Front) -> None:
        if front.channel is None or front.process is None:
            return
        try:
            async with asyncio.timeout(self._limits.drain_timeout + STOP_SECONDS):
                self._take(front, await front.channel.ask("stop"))
        except (errors.DoubleloopError, TimeoutError) as error:
            logger.warning("front %d did not stop by itself: %s", front.slot, error)
        front.channel.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(front.process.wait(), STOP_SECONDS)

    async def _hear(self, front: Front, op: str, message: dict[str, Any]) -> dict[str, Any]:
        assert self._calls is not None
        if op == "segment":
            self._calls.closed_segment(Path(message["path"]))
        elif op == "stuck":
            for running in self._calls.running():
                for scorer in running.ready_scorers():
                    if scorer.token == message["token"]:
                        scorer.lost()
        elif op == "metrics":
            return {"text": await self._calls.metrics()}
        else:
            raise ValueError(f"unknown op {op!r}")
        return {}
