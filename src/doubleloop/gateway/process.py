"""The gateway's life: lock the home, listen, follow the desired state, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.metadata
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson

from doubleloop.base import errors
from doubleloop.gateway import admin, app, paths, pushing, server, sockets, supervisor
from doubleloop.gateway import limits as limit

logger = logging.getLogger(__name__)


class Process:
    """``processes`` answer requests on the port; the first, this one, does everything else as well."""

    def __init__(self, home: Path, host: str, port: int, limits: limit.Limits, processes: int = 1) -> None:
        self._home, self._host, self._port = home.resolve(), host, port
        self._limits = limits.shared(processes)
        self._processes = processes
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Returns after a clean stop. Raises errors.Conflict when the port or the home is taken."""
        folder = paths.serving(self._home)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "gateway.lock"):
            await self._run(folder)

    async def _run(self, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        version = importlib.metadata.version("doubleloop")
        state = supervisor.Supervisor(self._home, self._limits, version)
        loop.add_signal_handler(signal.SIGHUP, state.look)
        http = server.Server(app.App(state, self._limits, state.metrics).handle, self._limits)
        try:
            ours, *theirs = sockets.share(self._host, self._port, self._processes)
        except OSError as error:
            raise errors.Conflict(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}", cure="choose another --port"
            ) from None
        scorer_listener = await loop.create_unix_server(
            state.hub.protocol, sock=sockets.listen(paths.scorer_socket(self._home), backlog=128)
        )
        desk = admin.Admin(state, self._drain)
        admin_listener = await asyncio.start_unix_server(
            desk.serve, sock=sockets.listen(paths.admin_socket(self._home)), limit=admin.LARGEST
        )
        port = ours[0].getsockname()[1]
        await http.start(ours)
        state.address = f"http://{self._host}:{port}"
        tasks = state.start(theirs)
        pusher = _pusher(state, version)
        if pusher is not None:
            tasks.append(asyncio.create_task(pusher.run()))
        (folder / "address.json").write_bytes(orjson.dumps({"host": self._host, "port": port, "pid": os.getpid()}))
        logger.info("listening on %s for %s", state.address, self._home)
        await self._stop.wait()
        logger.info("stopping: finishing what is in flight")
        await asyncio.gather(http.stop(), state.fronts.stop())
        for task in tasks:
            task.cancel()
        if pusher is not None:
            await pusher.stop()
        await state.stop()
        self._stopped.set()
        await asyncio.sleep(0)  # the answer to a drain
        for listener in (scorer_listener, admin_listener):
            listener.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered(), 1.0)
        for path in (paths.admin_socket(self._home), paths.scorer_socket(self._home), folder / "address.json"):
            path.unlink(missing_ok=True)
        logger.info("stopped")

    async def _drain(self) -> None:
        self._stop.set()
        await self._stopped.wait()

    async def _answered(self) -> None:
        """Lets the tasks that answer on the admin socket end."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=0.5)


def _pusher(state: supervisor.Supervisor, version: str) -> pushing.Pusher | None:
    if not pushing.wanted(os.environ):
        return None
    seconds = pushing.interval(os.environ)
    return pushing.Pusher(state.families, version, seconds)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise errors.Conflict(
            f"another gateway runs on {path.parent.parent}", cure="stop it first: doubleloop down"
        ) from None
    try:
        yield
    finally:
        os.close(fd)
