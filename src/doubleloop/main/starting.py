"""`doubleloop up`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy.exc

from doubleloop.base import errors
from doubleloop.main import addresses, home, processes, supervisor
from doubleloop.settings.model import Settings


def up(settings: Settings, *, detach: bool = False, say: Callable[[str], None] = processes.tell) -> dict[str, Any]:
    """Start everything and stay in front (or, with ``detach``, return once it answers).

    Already running: says so and changes nothing. Raises Unavailable (port taken), Conflict (newer home).
    """
    with _room_for(settings):
        return _up(settings, detach, say)


@contextlib.contextmanager
def _room_for(settings: Settings) -> Iterator[None]:
    """A disk that is full, or cannot be written, is said of the home folder, whoever noticed it first."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
    except sqlalchemy.exc.OperationalError as error:
        if settings.database_url:
            raise
        why = str(error.orig)
    else:
        return
    raise errors.Unavailable(
        f"The home folder {settings.home} cannot be used: {why}", cure="Make room, or choose another with --home."
    )


def _up(settings: Settings, detach: bool, say: Callable[[str], None]) -> dict[str, Any]:
    home.create(settings)
    lock = supervisor.Lock(settings.home)
    while not lock.acquire():
        holder = lock.holder()
        if holder is not None:  # else somebody was just looking
            found = addresses.address(settings)
            say(f"Doubleloop is running already (process {holder}): {found['url']}")
            processes.wait_until_ready(addresses.as_started(settings), say)
            return found
    try:
        supervisor.end_leftovers(settings)
        supervisor.check_port(settings.host, settings.port, "--port")
        supervisor.check_port(settings.host, settings.gateway, "--gateway-port (default: the port after --port)")
        home.prepare(settings)
    except BaseException:
        lock.release()
        raise
    if detach:
        lock.release()
        return _detach(settings, say)
    found = addresses.write_address(settings)
    runner = supervisor.Supervisor(settings, say)

    def announce() -> None:
        processes.wait_until_ready(settings, say)
        say(f"Doubleloop is ready: {found['url']}  (gateway: {found['gateway_url']}, home: {settings.home})")

    runner.run(announce)
    say("Doubleloop has stopped.")
    return found


def _detach(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "DOUBLELOOP_HOME": str(settings.home),
        "DOUBLELOOP_HOST": settings.host,
        "DOUBLELOOP_PORT": str(settings.port),
        "DOUBLELOOP_GATEWAY_PORT": str(settings.gateway),
        "DOUBLELOOP_DATABASE_URL": settings.database_url,
    }
    with (logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "doubleloop.main", "up"], env=environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True, cwd=settings.home,
        )  # fmt: skip
    processes.wait_until_ready(settings, say, process)
    return addresses.address(settings)
