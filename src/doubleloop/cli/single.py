"""Workspaces, registries and computes made one at a time: each is a set-up of one thing, named after it.

So what a hand or a script made is planned, shown by `drift` and removed by the same rules as what a file made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.cli.session import Session

_SECTIONS = {"workspace": "workspaces", "registry": "registries", "compute": "computes"}


def put(session: Session, kind: str, fields: dict[str, Any]) -> None:
    """Make the one thing as ``fields`` say; an existing one is changed. Raises as ``doubleloop apply``."""
    from doubleloop.cli import files
    from doubleloop.specs import documents

    name = str(fields["name"])
    setup = {"$schema": "doubleloop/setup", "name": _setup(kind, name), _SECTIONS[kind]: [fields]}
    document = documents.parse(json.dumps(setup), f"{kind} {name}", Path.cwd(), kind="setup")
    session.client.setup.apply(files.ship(session, document))


def remove(session: Session, kind: str, name: str, *, with_data: bool = False) -> None:
    """Remove what ``put`` made. Raises NotFound, and Conflict for what a setup file made or what is not empty."""
    setup = _setup(kind, name)
    second = [name] if with_data else []
    try:
        planned = session.client.setup.plan_destroy(setup, second)
    except errors.NotFound:
        raise errors.NotFound(
            f"No {kind} '{name}' was made by `doubleloop {kind} create`",
            cure="What a setup file made is removed by taking it out of that file: `doubleloop drift` lists them.",
        ) from None
    session.client.setup.destroy(setup, setup, planned.get("digest"), second)


def _setup(kind: str, name: str) -> str:
    return f"{kind}-{name}"
