"""Where an installation runs: kept in its home folder, and in the profile of the commands on this machine."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from doubleloop.settings.model import Settings


def write_private(path: Path, body: dict[str, Any]) -> None:
    """A file that only its owner can read, complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(body, file, indent=2)
        beside.rename(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_address(settings: Settings) -> dict[str, Any]:
    """Say where it runs: to commands on this machine (client profile), and to whoever looks after its processes."""
    profile = json.loads((settings.home / "client.json").read_text())
    here = {
        "url": f"http://{settings.host}:{settings.port}",
        "gateway_url": f"http://{settings.host}:{settings.gateway}",
    }
    write_private(settings.home / "client.json", profile | here)
    write_private(_running(settings), {"host": settings.host, "port": settings.port, "gateway_port": settings.gateway})
    return here


def address(settings: Settings) -> dict[str, Any]:
    """Where the installation of this home was started last; a login to another server does not change it."""
    found = as_started(settings)
    return {"url": f"http://{found.host}:{found.port}", "gateway_url": f"http://{found.host}:{found.gateway}"}


def as_started(settings: Settings) -> Settings:
    """The settings with the addresses that it was started with last: flags of ``up`` need not be said again."""
    try:
        return replace(settings, **json.loads(_running(settings).read_text()))
    except (OSError, ValueError, TypeError):
        return settings


def _running(settings: Settings) -> Path:
    return settings.home / "run" / "address.json"
