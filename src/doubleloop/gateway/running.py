"""One deployment id while it runs: its scorers, kept alive; its pool, contract, counters and log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from doubleloop.base import clock, errors
from doubleloop.gateway import (
    checkers,
    collected,
    counting,
    desired,
    masks,
    paths,
    pool,
    protocol,
    records,
    scaling,
    scorers,
    usage,
    wal,
)
from doubleloop.gateway import limits as limit

logger = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.2, 30.0, 60.0
# A process that is killed while it loads is no failed start, unless it is killed every time (for lack of memory).
KILLS_TO_FAIL = 3
# Requests that a scorer is sent before it has answered, if it can score them together.
AHEAD = 32


@dataclass(frozen=True)
class Surroundings:
    """What every deployment of this gateway shares. ``starts`` bounds how many models load at once; ``changed``
    is called when something happened that may change routing."""

    home: Path
    limits: limit.Limits
    hub: scorers.Hub
    starts: asyncio.Semaphore
    closed_segment: Callable[[Path], None]
    changed: Callable[[], None]


@dataclass(frozen=True)
class Worker:
    """A scorer process: resident memory in bytes, processor time in seconds, begun at (seconds since 1970)."""

    memory: int
    cpu: float
    since: float


class Running:
    """``usable`` once all instances have been ready: then it may get traffic, and keeps it through crashes."""

    def __init__(
        self, workspace: str, endpoint: str, name: str, deployment: desired.Deployment, around: Surroundings,
        before: int = 1,
    ) -> None:  # fmt: skip
        """``before``: instances of the deployment whose place it takes; the load that they bear comes to this one."""
        self.workspace, self.endpoint, self.name = workspace, endpoint, name
        self.deployment = deployment
        self.instances = _first(deployment, before)
        self.scaled: protocol.Scaled | None = None
        self._history: list[scaling.Sample] = []
        self._looked, self._busy = time.monotonic(), 0.0
        self.usable = False
        self.draining = False
        self.error: str | None = None
        self.restarts = 0
        self._kills = 0
        self.description: Mapping[str, Any] | None = None
        self.contract: checkers.Contract | None = None
        self.counts = counting.Counts()
        self.log: wal.Log | None = None
        self._collected: collected.Collected | None = None
        self._around = around
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._scorers: dict[int, scorers.Scorer] = {}
        self._shrinking: set[asyncio.Task[None]] = set()
        self._masker = masks.Masker(around.home, deployment.collect)
        self.pool = pool.Pool(
            deployment.max_concurrent_requests_per_instance,
            around.limits.queue_per_instance,
            deployment.max_queue_wait_ms / 1000,
            around.limits.stuck_after,
            self.counts.waited,
        )

    def start(self) -> None:
        self._resize()

    def _resize(self) -> None:
        for number in range(self.instances):
            if number not in self._keepers:
                self._keep(number)
        for number in [number for number in self._keepers if number >= self.instances]:
            task = asyncio.create_task(self._shrink(self._keepers.pop(number), self._scorers.pop(number, None)))
            self._shrinking.add(task)
            task.add_done_callback(self._shrinking.discard)

    def adjust(self, deployment: desired.Deployment) -> None:
        """Takes over settings that need no new process: instances, times, queue, collecting, names."""
        was, self.deployment = self.deployment, deployment
        if (deployment.instances, deployment.scale) != (was.instances, was.scale):
            self.instances = _first(deployment, self.instances)
            self._history.clear()
        self._masker = masks.Masker(self._around.home, deployment.collect)
        self.pool.depth = deployment.max_concurrent_requests_per_instance
        self.pool.queue_wait = deployment.max_queue_wait_ms / 1000
        self._resize()
        if self.log is not None:
            self.log.rotate()  # the header of the next segment says the new names
            self.log = self._new_log()

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
            logger.info("%s: %d to %d instances: %s", self._place(), self.instances, found.wanted, found.why)
            self.instances = found.wanted
            self._resize()

    async def stop(self, timeout: float) -> None:
        """Finishes what is in flight (at most ``timeout`` seconds), stops the scorers, closes the log."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.pool.quiet(), timeout)
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
        logger.error("%s: the plan disagreed with its model and is not used any more: %s", self._place(), why)
        record = {"why": why, "difference": header.get("difference"), "at": clock.now().isoformat()}
        with contextlib.suppress(OSError):  # a full disk: the next scorer finds out by itself
            paths.disagreement(self._around.home, self.deployment.id).write_bytes(orjson.dumps(record))
        for scorer in self._scorers.values():
            scorer.give_up_plan(why)
        if self.description is not None:
            self.description = {**self.description, "plan": {"used": False, "why": why, "disagreed": record}}
        self._around.changed()

    def _answered(self, number: int, header: dict[str, Any], body: bytes) -> None:
        if "batch" in header:
            self.counts.batched(header["batch"])
        self.pool.answered(number, header, body)

    def look_collected(self) -> None:
        """Now and then: halves of pairs that nothing came for are written."""
        if self._collected is not None:
            self._collected.look()

    def append(self, record: records.Record) -> None:
        """One record into the log, masked and sampled as the deployment says. Raises OSError."""
        assert self.log is not None
        collect = self.deployment.collect
        if record.error is None and not masks.sampled(record.request_id, collect.sampling_rate):
            return
        assert self.contract is not None
        inputs = (self.contract.signature or {}).get("inputs", [])
        names = [str(each.get("name", index)) for index, each in enumerate(inputs)]
        self.log.append(records.encode(self._masker.record(record, self.contract.layout, names)))

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
                logger.warning("%s: a scorer holds %d bytes, more than %d, and is ended", self._place(), found, most)
                scorer.too_large(found, most)

    @property
    def collects(self) -> bool:
        """Whether the script says by itself what its model was given and answered."""
        return bool(self.description and self.description.get("collects"))

    @property
    def raw(self) -> bool:
        """Whether it is a script that takes the whole HTTP request, whatever it holds."""
        return bool(self.description and self.description.get("raw"))

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
                self._answered,
                self.pool.died,
                self._take_collected,
                self._give_up_plan,
            )
            self._scorers[number] = scorer
            if await self._start(scorer):
                began = time.monotonic()
                await scorer.ended.wait()
                self.restarts += 1
                logger.warning("%s: a scorer (pid %s) ended, starting another", self._place(), scorer.pid)
                if time.monotonic() - began > HEALTHY_AFTER:
                    delay = FIRST_DELAY
            self._around.changed()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _start(self, scorer: scorers.Scorer) -> bool:
        try:
            async with self._around.starts:
                description = await scorer.start(self._around.limits.start_timeout)
            if self.contract is None:
                self.contract = checkers.contract(self.deployment, description)
                self.log = self._new_log()
        except errors.DoubleloopError as error:
            self._kills = self._kills + 1 if isinstance(error, scorers.Killed) else 0
            if not 0 < self._kills < KILLS_TO_FAIL:
                self.error = str(error)
            logger.warning("%s cannot start: %s", self._place(), error)
            if error.details:
                logger.warning("%s", error.details)
            await scorer.kill()
            return False
        except Exception as error:  # a fault of ours must not end the one task that keeps this instance alive
            self.error = f"internal error: {type(error).__name__}: {error}"
            logger.exception("%s cannot start", self._place())
            await scorer.kill()
            return False
        self.description = description
        self.pool.ahead = AHEAD if description.get("together") else 1
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
        while scorer.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await scorer.stop()

    def _new_log(self) -> wal.Log:
        assert self.contract is not None
        signature = self.contract.signature or {"inputs": [], "outputs": []}
        header = records.Header(
            workspace=self.workspace, endpoint=self.endpoint, deployment=self.name,
            deployment_id=self.deployment.id, model=self.deployment.model,
            model_version=self.deployment.model_version, layout=self.contract.layout,
            inputs=tuple(signature["inputs"]), outputs=tuple(signature["outputs"]),
        )  # fmt: skip
        folder = paths.deployment_log(self._around.home, self.workspace, self.endpoint, self.name) / "wal"
        return wal.Log(folder, records.encode_header(header), self._around.limits, self._around.closed_segment)

    def _place(self) -> str:
        return f"{self.workspace}/{self.endpoint} {self.name} ({self.deployment.id})"


def _first(deployment: desired.Deployment, before: int) -> int:
    """With how many instances: those asked for; one that scales, with no fewer than it had."""
    if deployment.scale is None:
        return deployment.instances
    return scaling.clamp(max(deployment.instances, before), deployment.scale)
