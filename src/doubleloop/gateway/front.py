"""One more process that answers requests on the gateway's port: ``python -m doubleloop.gateway.front ORDER``.

``ORDER`` is JSON: the home, this front's slot, the descriptors of the channel to the first process and of the listening
sockets, and the limits. It ends when the first process does.

Questions that it answers: ``expect`` (a scorer will connect: to which deployment it belongs, and what that is),
``joined`` (answered when it has), ``state`` (routes, and which deployment serves each), ``open`` (begin to accept),
``retire`` (use a scorer no more), ``let_go`` (of a deployment: answered when it has nothing in flight), ``rotate``
(hand over open logs), ``counts``, ``stop``. It is told to ``forget`` a deployment, and to ``give_up_near`` a plan. It
notes ``segment`` (a closed part of a log) and ``stuck`` (a scorer that does not answer), and asks for ``metrics``.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import orjson
import uvloop

from doubleloop.base import errors, logs
from doubleloop.gateway import (
    answering,
    app,
    channel,
    desired,
    links,
    paths,
    routing,
    sealing,
    server,
    sockets,
    wal,
)
from doubleloop.gateway import limits as limit
from doubleloop.gateway import tally as tallies

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


class Remote(links.Link):
    """A scorer that the first process started, over a connection of this process's own."""

    def __init__(self, front: Front, answering: answering.Answering, token: str) -> None:
        super().__init__(answering.answered)
        self.answering, self.token = answering, token
        self.joined = asyncio.Event()
        self.ended = False
        self._front = front
        self._secrets = sealing.opened(front.home, answering.deployment)

    def connected(self, transport: asyncio.Transport) -> None:
        super().connected(transport)
        self.joined.set()
        self.answering.pool.add(self)

    def lost(self) -> None:
        """Called for a closed connection, and by the pool when a request was not answered for too long: then the
        process that started the scorer ends it."""
        if self.ended:
            return
        self.ended = True
        if self._transport is not None and not self._transport.is_closing():
            self._front.note_stuck(self.token)
            self._transport.abort()
        self._transport = None
        self._front.forget(self)
        self.answering.pool.died(self)


class State:
    """What ``app`` reads: routes by endpoint key."""

    def __init__(self) -> None:
        self.routes: dict[str, routing.Route] = {}
        self.stopping = False


class Front:
    def __init__(self, home: Path, slot: int, limits: limit.Limits, listeners: list[socket.socket]) -> None:
        self.home, self._slot, self._limits, self._listeners = home, slot, limits, listeners
        self._state = State()
        self._running: dict[int, answering.Answering] = {}
        self._remotes: dict[str, Remote] = {}
        self._place = answering.Place(home, limits, self._closed)
        self._channel = channel.Channel(self._hear)
        self._http = server.Server(app.App(self._state, limits, self._metrics).handle, limits)
        self._stopped = asyncio.Event()

    async def run(self, descriptor: int) -> None:
        """Until it is told to stop, or the first process has gone."""
        loop = asyncio.get_running_loop()
        path = paths.front_socket(self.home, self._slot)
        await loop.create_unix_server(lambda: links.Receiver(self._claim), sock=sockets.listen(path, backlog=128))
        await loop.create_connection(lambda: self._channel, sock=socket.socket(fileno=descriptor))
        beat = asyncio.create_task(self._look())
        gone = asyncio.create_task(self._channel.gone.wait())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({gone, stopped}, return_when=asyncio.FIRST_COMPLETED)
        beat.cancel()
        if not self._stopped.is_set():  # its scorers have gone, too: nobody could be answered
            os._exit(1)
        await self._channel.gone.wait()

    def note_stuck(self, token: str) -> None:
        self._channel.note("stuck", token=token)

    def forget(self, remote: Remote) -> None:
        self._remotes.pop(remote.token, None)

    def _claim(self, token: str) -> links.Link | None:
        remote = self._remotes.get(token)
        return None if remote is None or remote.joined.is_set() else remote

    def _closed(self, segment: Path) -> None:
        self._channel.note("segment", path=str(segment))

    async def _metrics(self) -> str:
        return str((await self._channel.ask("metrics"))["text"])

    async def _look(self) -> None:
        """Closes logs that are old, and syncs those that are open."""
        while True:
            await asyncio.sleep(min(self._limits.fsync_interval, 1.0, self._limits.rotate_seconds / 4))
            for log in self._logs():
                if log.old():
                    log.rotate()
                segment = log.dirty()
                if segment is not None:
                    await wal.synced(segment)

    def _logs(self) -> list[wal.Log]:
        logs = [each.log for each in self._running.values() if each.log is not None]
        return logs + [route.labels for route in self._state.routes.values()]

    async def _hear(self, op: str, message: dict[str, Any]) -> dict[str, Any]:
        if op == "expect":
            self._expect(message)
        elif op == "joined":
            await self._remotes[message["token"]].joined.wait()
        elif op == "state":
            self._follow(message["state"])
        elif op == "open":
            await self._http.start(self._listeners)
        elif op == "retire":
            await self._retire(message["token"])
        elif op == "let_go":
            await self._let_go(message["running"])
        elif op == "forget":
            self._running.pop(message["running"], None)
        elif op == "give_up_near":
            if message["running"] in self._running:
                self._running[message["running"]].give_up_near()
        elif op == "rotate":
            for log in self._logs():
                log.rotate()
        elif op == "counts":
            return self._counts()
        elif op == "stop":
            return await self._stop()
        else:
            raise ValueError(f"unknown op {op!r}")
        return {}

    def _expect(self, message: dict[str, Any]) -> None:
        number = message["running"]
        found = self._running.get(number)
        if found is None:
            deployment = desired.deployment(message["name"], message["deployment"])
            workspace, endpoint = message["place"]
            found = answering.Answering(workspace, endpoint, message["name"], deployment, self._place)
            self._running[number] = found
        found.learn(message["description"])
        self._remotes[message["token"]] = Remote(self, found, message["token"])

    def _follow(self, state: dict[str, Any]) -> None:
        for number, deployment in state["running"].items():
            found = self._running.get(int(number))
            if found is not None:
                wanted = desired.deployment(found.name, deployment)
                if wanted != found.deployment:
                    found.adjust(wanted)
        wanted_endpoints = desired.from_dict(state["desired"]).endpoints
        for key, item in state["routes"].items():
            route = self._route(key, wanted_endpoints[key])
            route.serving = {
                name: self._running[number] for name, number in item["serving"].items() if number in self._running
            }
            route.traffic = {name: share for name, share in item["traffic"].items() if name in route.serving}
        for key in [key for key in self._state.routes if key not in state["routes"]]:
            self._state.routes.pop(key).labels.rotate()

    def _route(self, key: str, endpoint: desired.Endpoint) -> routing.Route:
        route = self._state.routes.get(key)
        if route is None:
            workspace, _, name = key.partition("/")
            labels = routing.label_log(self._place, workspace, name)
            route = routing.Route(workspace, name, endpoint, labels, tallies.Tally(endpoint.slo))
            self._state.routes[key] = route
        elif route.endpoint != endpoint:
            route.endpoint = endpoint
            route.tally.follow(endpoint.slo, 0.0)
        return route

    async def _retire(self, token: str) -> None:
        remote = self._remotes.get(token)
        if remote is None:
            return
        remote.answering.pool.retire(remote)
        while remote.in_flight and not remote.ended:
            await asyncio.sleep(0.01)

    async def _let_go(self, number: int) -> None:
        found = self._running.get(number)
        if found is None:
            return
        await found.pool.quiet()
        while found.counts.in_flight:  # answers that are just being logged
            await asyncio.sleep(0.005)
        if found.log is not None:
            found.log.rotate()

    def _counts(self) -> dict[str, Any]:
        routes = self._state.routes
        said = {
            "gauges": {str(number): [each.counts.in_flight, each.pool.queued]
                       for number, each in self._running.items()},
            "running": {str(number): each.counts.take() for number, each in self._running.items()},
            "refused": {key: {str(code): count for code, count in route.refused.items()}
                        for key, route in routes.items()},
            "tallies": {key: route.tally.take() for key, route in routes.items()},
        }  # fmt: skip
        for route in routes.values():
            route.refused.clear()
        return said

    async def _stop(self) -> dict[str, Any]:
        await self._http.stop()
        self._state.stopping = True
        for log in self._logs():
            log.rotate()
        self._stopped.set()
        return self._counts()


def _end_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def _run(order: dict[str, Any]) -> None:
    listeners = [socket.socket(fileno=descriptor) for descriptor in order["listeners"]]
    front = Front(Path(order["home"]), order["slot"], limit.Limits(**order["limits"]), listeners)
    await front.run(order["channel"])


def main(arguments: list[str]) -> int:
    order = orjson.loads(arguments[0])
    _end_with_parent()
    # The first process decides when this one ends.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    logs.to_stderr()
    gc.collect()
    gc.freeze()
    try:
        uvloop.run(_run(order))
    except errors.DoubleloopError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
