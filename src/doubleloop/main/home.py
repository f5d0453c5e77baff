"""The home folder: made private, its database migrated, its first administrator and client profile written."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from doubleloop import wiring
from doubleloop.base import actors
from doubleloop.db import migrations
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
    with os.fdopen(descriptor, "w") as file:
        json.dump(body, file, indent=2)
    beside.rename(path)


def write_address(settings: Settings) -> dict[str, Any]:
    """Put the addresses into the client profile, so that commands on this machine find the server."""
    profile = json.loads((settings.home / "client.json").read_text())
    profile["url"] = f"http://{settings.host}:{settings.port}"
    profile["gateway_url"] = f"http://{settings.host}:{settings.gateway}"
    write_private(settings.home / "client.json", profile)
    return address(settings)


def address(settings: Settings) -> dict[str, Any]:
    file = settings.home / "client.json"
    profile = json.loads(file.read_text()) if file.exists() else {}
    return {key: profile.get(key, "") for key in ("url", "gateway_url")}
