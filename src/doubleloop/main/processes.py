"""`doubleloop up`, `down` and `status`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy.exc

from doubleloop.base import errors
from doubleloop.main import home, supervisor
from doubleloop.settings.model import Settings

# On a machine with much else to do, importing MLflow alone takes a minute.
START_SECONDS = 600.0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def up(settings: Settings, *, detach: bool = False, say: Callable[[str], None] = _say) -> dict[str, Any]:
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
            found = home.address(settings)
            say(f"Doubleloop is running already (process {holder}): {found['url']}")
            wait_until_ready(home.as_started(settings), say)
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
    found = home.write_address(settings)
    runner = supervisor.Supervisor(settings, say)

    def announce() -> None:
        wait_until_ready(settings, say)
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
    wait_until_ready(settings, say, process)
    return home.address(settings)


def wait_until_ready(
    settings: Settings, say: Callable[[str], None], process: subprocess.Popen[bytes] | None = None
) -> None:
    """Return when the API and all it stands on answer. Raises Unavailable, with the log's name, when they do not."""
    deadline = time.monotonic() + START_SECONDS
    told: set[str] = set()
    while time.monotonic() < deadline:
        if process is not None and process.poll() not in (None, 0):  # 0: another one was quicker
            raise errors.Unavailable(
                f"Doubleloop ended while it started (exit code {process.returncode})",
                cure=f"See {settings.home / 'logs' / 'supervisor.log'}.",
            )
        state = health(settings)
        for part, well in state.items():
            if well and part not in told:
                told.add(part)
                say(f"  {part} answers")
        if state and all(state.values()):
            return
        for name in supervisor.hopeless(settings):
            raise errors.Unavailable(
                f"{name} ends each time that it is started", cure=f"See {settings.home / 'logs' / name}.log."
            )
        time.sleep(0.4)
    slow = ", ".join(part for part, well in health(settings).items() if not well) or "the API"
    raise errors.Unavailable(
        f"Not everything answered within {START_SECONDS:.0f} s. Waited for: {slow}",
        cure=f"See the logs in {settings.home / 'logs'}.",
    )


def health(settings: Settings) -> dict[str, bool]:
    """Which parts answer: api, mlflow, gateway, worker. Empty when the API itself does not."""
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=2)
    try:
        connection.request("GET", "/api/v1/health")
        body = json.loads(connection.getresponse().read())
        return {part: state == "ok" for part, state in body["parts"].items()}
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def down(settings: Settings, say: Callable[[str], None] = _say) -> bool:
    """Stop everything; False when nothing ran. Job steps that are running go on and are found again by `up`."""
    holder = supervisor.Lock(settings.home).holder()
    if holder is None:
        say(f"Nothing is running on {settings.home}.")
        return False
    supervisor.end(holder, 60.0)
    say("Doubleloop has stopped.")
    return True


def status(settings: Settings) -> dict[str, Any]:
    """Whether it runs, where, and which parts answer."""
    holder = supervisor.Lock(settings.home).holder()
    parts = health(home.as_started(settings)) if holder else {}
    found = home.address(settings) if holder else {}
    return {"running": holder is not None, "process": holder, "home": str(settings.home), **found, "parts": parts}
