"""One deployment id while it runs: its scorers, kept alive, and their number."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from doubleloop.base import clock, errors
from doubleloop.gateway import answering, collected, desired, fronts, paths, protocol, scaling, scorers, usage

logger = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.2, 30.0, 60.0
# A process that is killed while it loads is no failed start, unless it is killed every time (for lack of memory).
KILLS_TO_FAIL = 3


@dataclass(frozen=True)
class Surroundings(answering.Place):
    """What every deployment of this gateway shares. ``starts`` bounds how many models load at once; ``changed``
    is called when something happened that may change routing."""

    hub: scorers.Hub
    fronts: fronts.Fronts
    starts: asyncio.Semaphore
    changed: Callable[[], None]


@dataclass(frozen=True)
class Worker:
    """A scorer process: resident memory in bytes, processor time in seconds, begun at (seconds since 1970)."""

    memory: int
    cpu: float
    since: float


class Running(answering.Answering):
    """``usable`` once all instances have been ready: then it may get traffic, and keeps it through crashes."""

    def __init__(
        self, workspace: str, endpoint: str, name: str, deployment: desired.Deployment, around: Surroundings,
        before: int = 1,
    ) -> None:  # fmt: skip
        """``before``: instances of the deployment whose place it takes; the load that they bear comes to this one."""
        super().__init__(workspace, endpoint, name, deployment, around)
        self.number = around.fronts.number()
        self.instances = _first(deployment, before)
        self.scaled: protocol.Scaled | None = None
        self._history: list[scaling.Sample] = []
        self._looked, self._busy = time.monotonic(), 0.0
        self.usable = False
        self.draining = False
        self.error: str | None = None
        self.restarts = 0
        self._kills = 0
        self._collected: collected.Collected | None = None
        self._around = around
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._scorers: dict[int, scorers.Scorer] = {}
        self._shrinking: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._resize()

    def changed(self) -> None:
        self._around.changed()

    def _resize(self) -> None:
        for number in range(self.instances):
            if number not in self._keepers:
                self._keep(number)
        for number in [number for number in self._keepers if number >= self.instances]:
            task = asyncio.create_task(self._shrink(self._keepers.pop(number), self._scorers.pop(number, None)))
            self._shrinking.add(task)
            task.add_done_callback(self._shrinking.discard)

    def adjust(self, deployment: desired.Deployment) -> None:
        """Takes over settings that need no new process; those that other processes answer by are told to them."""
        was = self.deployment
        super().adjust(deployment)
        if (deployment.instances, deployment.scale) != (was.instances, was.scale):
            self.instances = _first(deployment, self.instances)
            self._history.clear()
        self._resize()

    def look_load(self) -> None:
        """Follow the load, if the deployment is to and its polling interval is over."""
        policy, now = self.deployment.scale, time.monotonic()
        if policy is None or not self.usable or now - self._looked < policy.polling_interval_ms / 1000:
            return
        busy = self.counts.in_flight_seconds()
        sample = scaling.Sample(now, (busy - self._busy) / (now - self._looked))
        self._looked, self._busy = now, busy
        window = self._around.limits.scale_down_after
        self._history = [*scaling.kept(self._history, window, now), sample]
        found = scaling.decide(
            self.instances, self._history, policy, self.deployment.max_concurrent_requests_per_instance, window, now
        )
        if found.wanted != self.instances:
            self.scaled = protocol.Scaled(clock.iso(clock.now()), self.instances, found.wanted, found.why)
            logger.info("%s: %d to %d instances: %s", self._where(), self.instances, found.wanted, found.why)
            self.instances = found.wanted
            self._resize()

    async def stop(self, timeout: float) -> None:
        """Finishes what is in flight (at most ``timeout`` seconds), stops the scorers, closes the log."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(self.pool.quiet(), self._around.fronts.let_go(self.number)), timeout)
        for task in self._keepers.values():
            task.cancel()
        await asyncio.gather(*(scorer.stop() for scorer in self._scorers.values()), return_exceptions=True)
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        deadline = time.monotonic() + timeout
        while self.counts.in_flight and time.monotonic() < deadline:  # answers that are just being logged
            await asyncio.sleep(0.005)
        if self._collected is not None:
            self._collected.look(everything=True)
        if self.log is not None:
            self.log.rotate()

    def _take_collected(self, header: dict[str, Any], body: bytes) -> None:
        if self.log is None:  # collected while it loads: a trial of the script's own
            return
        if self._collected is None:
            folder = paths.deployment_log(self._around.home, self.workspace, self.endpoint, self.name) / "collected"
            self._collected = collected.Collected(self.deployment, folder, self.append)
        self._collected.take(header, body)

    def _give_up_plan(self, header: dict[str, Any]) -> None:
        """A plan gave another answer than its model: no scorer of this deployment uses it any more, nor will one."""
        why = str(header.get("why"))
        logger.error("%s: the plan disagreed with its model and is not used any more: %s", self._where(), why)
        record = {"why": why, "difference": header.get("difference"), "at": clock.now().isoformat()}
        with contextlib.suppress(OSError):  # a full disk: the next scorer finds out by itself
            paths.disagreement(self._around.home, self.deployment.id).write_bytes(orjson.dumps(record))
        self.give_up_near()
        self._around.fronts.give_up_near(self.number)
        for scorer in self._scorers.values():
            scorer.give_up_plan(why)
        if self.description is not None:
            self.description = {**self.description, "plan": {"used": False, "why": why, "disagreed": record}}
        self._around.changed()

    def look_collected(self) -> None:
        """Now and then: halves of pairs that nothing came for are written."""
        if self._collected is not None:
            self._collected.look()

    def workers(self) -> dict[int, Worker]:
        """What each scorer process that runs uses, by its number."""
        return {
            number: Worker(used.memory, round(used.cpu, 2), scorer.since)
            for number, scorer in self._scorers.items()
            if not scorer.ended.is_set() and (used := usage.of(scorer.pid)).memory
        }

    def check_memory(self) -> None:
        """End scorers that hold more than one may; others are started in their place."""
        most = self._around.limits.max_scorer_bytes
        for scorer in list(self._scorers.values()):
            if most and not scorer.ended.is_set() and (found := usage.of(scorer.pid).memory) > most:
                logger.warning("%s: a scorer holds %d bytes, more than %d, and is ended", self._where(), found, most)
                scorer.too_large(found, most)

    def ready_scorers(self) -> list[scorers.Scorer]:
        """Those that requests are sent to."""
        return [scorer for scorer in self._scorers.values() if self.pool.has(scorer)]

    @property
    def in_flight_elsewhere(self) -> int:
        return self._around.fronts.gauges(self.number).in_flight

    @property
    def queued(self) -> int:
        """Requests that wait for a scorer, in all processes."""
        return self.pool.queued + self._around.fronts.gauges(self.number).queued

    @property
    def state(self) -> protocol.State:
        if self.draining:
            return "draining"
        if self.usable:
            return "ready" if self.pool.ready else "starting"
        return "failed" if self.error else "starting"

    def _keep(self, number: int) -> None:
        self._keepers[number] = asyncio.create_task(self._keep_alive(number))

    async def _keep_alive(self, number: int) -> None:
        delay = FIRST_DELAY
        while True:
            scorer = scorers.Scorer(
                self._around.home,
                self.deployment,
                self._around.hub,
                self.answered,
                self.pool.died,
                self._take_collected,
                self._give_up_plan,
            )
            self._scorers[number] = scorer
            if await self._start(scorer):
                began = time.monotonic()
                await scorer.ended.wait()
                self.restarts += 1
                logger.warning("%s: a scorer (pid %s) ended, starting another", self._where(), scorer.pid)
                if time.monotonic() - began > HEALTHY_AFTER:
                    delay = FIRST_DELAY
            self._around.changed()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _start(self, scorer: scorers.Scorer) -> bool:
        own = self.deployment.start_timeout_ms
        try:
            async with self._around.starts:
                description = await scorer.start(self._around.limits.start_timeout if own is None else own / 1000)
            self.learn(description)
            await self._around.fronts.introduce(self, scorer)
        except errors.DoubleloopError as error:
            self._kills = self._kills + 1 if isinstance(error, scorers.Killed) else 0
            if not 0 < self._kills < KILLS_TO_FAIL:
                self.error = str(error)
            logger.warning("%s cannot start: %s", self._where(), error)
            if error.details:
                logger.warning("%s", error.details)
            await scorer.kill()
            return False
        except Exception as error:  # a fault of ours must not end the one task that keeps this instance alive
            self.error = f"internal error: {type(error).__name__}: {error}"
            logger.exception("%s cannot start", self._where())
            await scorer.kill()
            return False
        self.pool.add(scorer)
        if self.pool.ready >= self.instances:
            self.usable, self.error = True, None
        self._around.changed()
        return True

    async def _shrink(self, keeper: asyncio.Task[None], scorer: scorers.Scorer | None) -> None:
        """One instance less: it gets nothing new, and ends when it has answered what it has."""
        keeper.cancel()
        if scorer is None:  # it has not even begun to start
            return
        self.pool.retire(scorer)
        # No caller waits for longer than the timeout of a request: then nothing is lost with the process.
        patience = max(self._around.limits.drain_timeout, self.deployment.request_timeout_ms / 1000)
        deadline = time.monotonic() + patience
        elsewhere = asyncio.create_task(self._around.fronts.retire(scorer.token))
        while (scorer.in_flight or not elsewhere.done()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        elsewhere.cancel()
        await scorer.stop()

    def _where(self) -> str:
        return f"{self.workspace}/{self.endpoint} {self.name} ({self.deployment.id})"


def _first(deployment: desired.Deployment, before: int) -> int:
    """With how many instances: those asked for; one that scales, with no fewer than it had."""
    if deployment.scale is None:
        return deployment.instances
    return scaling.clamp(max(deployment.instances, before), deployment.scale)
