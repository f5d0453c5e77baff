"""Makes what runs equal to what is desired, without ever taking away what answers before its successor can."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import (
    converter,
    desired,
    fronts,
    ledger,
    metrics,
    paths,
    prometheus,
    protocol,
    routing,
    scorers,
    wal,
)
from doubleloop.gateway import limits as limit
from doubleloop.gateway.running import Running, Surroundings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
Place = tuple[str, str]  # endpoint key, deployment name


class Supervisor:
    """``routes`` by endpoint key is what the request path reads; only this class writes it."""

    def __init__(self, home: Path, limits: limit.Limits, version: str) -> None:
        self.routes: dict[str, routing.Route] = {}
        self.hub = scorers.Hub()
        self.fronts = fronts.Fronts(home, limits)
        self._ledgers: dict[str, ledger.Ledger] = {}
        self.converter = converter.Converter()
        self._home, self._limits, self._version = home, limits, version
        self._around = Surroundings(
            home, limits, self._closed, self.hub, self.fronts, asyncio.Semaphore(max(2, os.cpu_count() or 2)),
            self._settle,
        )  # fmt: skip
        self._desired = desired.Desired(-1)
        self._error: str | None = None
        self._seen: tuple[int, int, int] | None = None
        self._current: dict[Place, Running] = {}
        self._next: dict[Place, Running] = {}
        self._draining: dict[Running, asyncio.Task[None]] = {}
        self._look = asyncio.Event()
        self.stopping = False
        self.address = ""

    def start(self, listeners: list[list[socket.socket]]) -> list[asyncio.Task[None]]:
        """Begins to convert what earlier processes left, more processes that answer (one for each set of listening
        sockets), and the background tasks; returns these."""
        self.converter.start()
        self._convert_leftovers()
        calls = fronts.Calls(self._all, self._counted, self._closed, self._convert_leftovers, self.metrics)
        self.fronts.start(listeners, calls)
        return [asyncio.create_task(task) for task in (self._watch(), self._rotate(), self._sync(), self._scale())]

    def _convert_leftovers(self) -> None:
        for segment in wal.leftovers(paths.inference(self._home)):
            self.converter.add(segment, wait=False)

    def look(self) -> None:
        """Read the desired state now (SIGHUP)."""
        self._look.set()

    async def flush(self) -> int:
        """Everything answered before the call is Parquet when it returns. Raises errors.Failed."""
        before = self.converter.done
        for log in self._logs():
            log.rotate()
        await self.fronts.rotate()
        await self.converter.flush()
        if self.converter.failed:
            segment, why = next(iter(self.converter.failed.items()))
            raise errors.Failed(f"segment {segment} could not become Parquet: {why}")
        return self.converter.done - before

    async def stop(self) -> None:
        """Requests have been refused before; finish those in flight, close the log, stop the scorers."""
        self.stopping = True
        running = [*self._current.values(), *self._next.values()]
        await asyncio.gather(*(item.stop(self._limits.drain_timeout) for item in running), *self._draining.values())
        for key, route in self.routes.items():
            route.labels.rotate()
            self._ledgers[key].save(time.time())
        await self.converter.stop()

    def apply(self, wanted: desired.Desired) -> None:
        """Starts what is missing at once; replaces and removes as soon as nothing is lost by it."""
        self._desired = wanted
        for key, endpoint in wanted.endpoints.items():
            self._ensure_route(key, endpoint)
            for name, deployment in endpoint.deployments.items():
                self._ensure((key, name), deployment)
        self._settle()

    def _ensure_route(self, key: str, endpoint: desired.Endpoint) -> None:
        if key in self.routes:
            self.routes[key].endpoint = endpoint
            self._ledgers[key].follow(endpoint.slo, time.time())
            return
        workspace, _, name = key.partition("/")
        labels = routing.label_log(self._around, workspace, name)
        counted = ledger.Ledger(paths.ledger(self._home, workspace, name), endpoint.slo, time.time())
        self._ledgers[key] = counted
        self.routes[key] = routing.Route(workspace, name, endpoint, labels, counted)

    def _ensure(self, place: Place, deployment: desired.Deployment) -> None:
        current, coming = self._current.get(place), self._next.get(place)
        if current is not None and current.deployment.identity() == deployment.identity():
            if coming is not None:  # back to what is there: drop the replacement
                self._drain(self._next.pop(place))
            if current.deployment != deployment:
                current.adjust(deployment)
            return
        if coming is not None and coming.deployment.identity() == deployment.identity():
            if coming.deployment != deployment:
                coming.adjust(deployment)
            return
        if coming is not None:
            self._drain(self._next.pop(place))
        workspace, _, endpoint = place[0].partition("/")
        before = current.instances if current is not None else 1
        running = self._next[place] = Running(workspace, endpoint, place[1], deployment, self._around, before)
        running.start()

    def _settle(self) -> None:
        """Promote what has become usable, renew the routes, then let go of what nobody uses."""
        if self.stopping:
            return
        for place, coming in list(self._next.items()):
            if coming.usable and not coming.draining:
                del self._next[place]
                old = self._current.get(place)
                self._current[place] = coming
                if old is not None:
                    self._drain(old)
        for key, route in self.routes.items():
            route.serving = {name: item for (owner, name), item in self._current.items() if owner == key}
            route.traffic = routing.split(route.endpoint.traffic, route.serving, route.traffic)
        for key in [key for key in self.routes if key not in self._desired.endpoints]:
            route = self.routes.pop(key)
            route.labels.rotate()
            self._ledgers.pop(key).save(time.time())
        self._let_go()
        self.fronts.tell(self._state)

    def _let_go(self) -> None:
        for place in [place for place in self._next if not self._wants(place)]:
            self._drain(self._next.pop(place))
        for place in [place for place in self._current if not self._wants(place)]:
            route = self.routes.get(place[0])
            if route is None or place[1] not in route.traffic:
                running = self._current.pop(place)
                if route is not None:
                    route.serving.pop(place[1], None)
                self._drain(running)

    def _state(self) -> dict[str, Any]:
        """What fronts are to serve: the same as this process does."""
        routes = {
            key: {
                "traffic": route.traffic,
                "serving": {name: item.number for (owner, name), item in self._current.items() if owner == key},
            }
            for key, route in self.routes.items()
        }
        settings = {str(item.number): asdict(item.deployment) for item in self._all()}
        return {"desired": asdict(self._desired), "routes": routes, "running": settings}

    def _all(self) -> list[Running]:
        return [*self._current.values(), *self._next.values(), *self._draining]

    def _counted(self, said: dict[str, Any]) -> None:
        """What a front has counted since it last said so."""
        running = {str(item.number): item for item in self._all()}
        for number, counts in said["running"].items():
            if number in running:
                running[number].counts.merge(counts)
        for key, route in self.routes.items():
            route.refused.update({int(code): count for code, count in said["refused"].get(key, {}).items()})
            route.tally.merge(said["tallies"].get(key, ()))

    async def gather(self) -> None:
        """What all processes have counted is counted here when it returns."""
        await self.fronts.gather()

    async def families(self) -> list[metrics.Family]:
        """What is measured, by all processes."""
        await self.gather()
        return metrics.collect(
            metrics.Measured(
                key, route, {name: item for (owner, name), item in self._current.items() if owner == key},
                self._ledgers[key].objectives(time.time()),
            )
            for key, route in self.routes.items()
        )  # fmt: skip

    async def metrics(self) -> str:
        return prometheus.render(await self.families())

    def _wants(self, place: Place) -> bool:
        endpoint = self._desired.endpoints.get(place[0])
        return endpoint is not None and place[1] in endpoint.deployments

    def _drain(self, running: Running) -> None:
        running.draining = True
        task = asyncio.create_task(running.stop(self._limits.drain_timeout))
        self._draining[running] = task
        task.add_done_callback(lambda _: self._draining.pop(running, None))

    def _closed(self, segment: Path) -> None:
        self.converter.add(segment)

    def _logs(self) -> Iterable[wal.Log]:
        for running in self._all():
            if running.log is not None:
                yield running.log
        for route in self.routes.values():
            yield route.labels

    async def _watch(self) -> None:
        path = paths.desired(self._home)
        while True:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(path)
                seen = (found.st_mtime_ns, found.st_ino, found.st_size)
                if seen != self._seen:
                    self._seen = seen
                    self._read(path)
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), POLL_SECONDS)
                self._seen = None

    def _read(self, path: Path) -> None:
        try:
            self.apply(desired.from_json(path.read_bytes()))
            self._error = None
        except (errors.InvalidInput, OSError) as error:
            self._error = str(error)
            logger.error("the desired state cannot be used, the earlier one goes on: %s", error)

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._limits.rotate_seconds / 4))
            for running in [*self._current.values(), *self._next.values()]:
                running.look_collected()
                running.check_memory()
            for log in self._logs():
                if log.old():
                    log.rotate()

    async def _scale(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            scaling = [running for running in self._current.values() if running.deployment.scale is not None]
            if scaling:
                await self.gather()
            for running in scaling:
                running.look_load()

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self._limits.fsync_interval)
            await self.gather()
            for counted in self._ledgers.values():
                counted.save(time.time())
            for log in list(self._logs()):
                segment = log.dirty()
                if segment is not None:
                    await wal.synced(segment)

    def status(self) -> protocol.Status:
        endpoints = {}
        for key, endpoint in self._desired.endpoints.items():
            route = self.routes[key]
            endpoints[key] = protocol.EndpointStatus(
                traffic=dict(route.traffic),
                deployments={name: self._deployment_status((key, name)) for name in endpoint.deployments},
                objectives=tuple(self._ledgers[key].objectives(time.time())),
                access=route.endpoint.access() if self.fronts.settled else "",
            )
        settled = (
            not self._next
            and not self._draining
            and self.fronts.settled
            and all(self._wants(place) for place in self._current)
        )
        settled = settled and self.fronts.settled and self._desired.generation >= 0
        ready = all(d.state == "ready" for e in endpoints.values() for d in e.deployments.values())
        return protocol.Status(
            generation=self._desired.generation, converged=settled and ready,
            pid=os.getpid(), version=self._version, address=self.address, stopping=self.stopping,
            error=self._error, log_errors=dict(self.converter.failed), endpoints=endpoints,
        )  # fmt: skip

    def _deployment_status(self, place: Place) -> protocol.DeploymentStatus:
        current, coming = self._current.get(place), self._next.get(place)
        subject = coming or current
        assert subject is not None
        key, name = place
        leaving = [item.deployment.id for item in self._draining
                   if item.name == name and f"{item.workspace}/{item.endpoint}" == key]  # fmt: skip
        return protocol.DeploymentStatus(
            id=subject.deployment.id, state=subject.state,
            serving_id=current.deployment.id if current is not None else None,
            instances=subject.instances, ready_instances=subject.pool.ready, scaled=subject.scaled,
            restarts=subject.restarts, error=subject.error,
            description=dict(subject.description) if subject.description is not None else None,
            counters=subject.counts.snapshot(subject.in_flight_elsewhere), draining=tuple(leaving),
        )  # fmt: skip
