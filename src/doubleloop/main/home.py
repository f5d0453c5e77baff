"""The home folder: made private, its database migrated, its first administrator and client profile written."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from doubleloop import wiring
from doubleloop.base import actors
from doubleloop.db import migrations
from doubleloop.events import commands as events
from doubleloop.events import guards
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.settings.model import Settings
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places

ADMIN = "admin"
SETUP = actors.service("setup")


def create(settings: Settings) -> None:
    for folder in ("", "run", "logs", "mlflow", "serving", "inference", "runs", "environments"):
        (settings.home / folder).mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)


def prepare(settings: Settings) -> None:
    """Migrate the database and, the first time, make the registry, an administrator and its token."""
    engine = wiring.engine(settings)
    migrations.upgrade(engine)
    contexts = wiring.contexts(settings, engine)
    with contexts.write(SETUP) as ctx:
        made = guards.restore(ctx)
        if made:
            events.record(ctx, "audit.guard_restored", "audit:record", triggers=made)
        if not any(user.is_admin for user in users.users(ctx)):
            workspaces.put(
                ctx,
                places.Workspace(
                    places.REGISTRY, identities.WorkspaceKind.PREPRODUCTION, "Shared by all workspaces", True
                ),
            )
            identity.create_user(ctx, ADMIN, "Administrator", is_admin=True)
        secret = ""
        if not (settings.home / "client.json").exists():
            _, secret = identity.create_token(ctx, ADMIN, "first-run")
    if secret:  # written once the token is valid: cut off in between, the next start makes another one
        write_private(settings.home / "client.json", {"user": ADMIN, "token": secret})
    engine.dispose()


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
