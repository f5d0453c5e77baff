"""`doubleloop down` and `status`, and the wait until everything answers."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from doubleloop.base import errors
from doubleloop.main import addresses, supervisor
from doubleloop.settings.model import Settings

# On a machine with much else to do, importing MLflow alone takes a minute.
START_SECONDS = 600.0


def tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


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


def down(settings: Settings, say: Callable[[str], None] = tell) -> bool:
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
    parts = health(addresses.as_started(settings)) if holder else {}
    found = addresses.address(settings) if holder else {}
    return {"running": holder is not None, "process": holder, "home": str(settings.home), **found, "parts": parts}
