"""Reading what is sensitive stands on record: folders and files of data, models and code, MLflow's artifacts, logs.

One entry for each thing that somebody takes, not for each piece of it: a folder once and not its files again, a file
once and not each time that a broken download goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request

from doubleloop.api import requests
from doubleloop.catalog import queries as catalog
from doubleloop.events import readings


def note(
    request: Request, type_: str, subject: str, workspace: str | None, parts: Iterable[str] = (), **data: Any
) -> None:
    """On record before a byte leaves: what cannot be noted is not handed out.

    ``parts``: what is taken with it, and will be asked for piece by piece.
    """
    memory: readings.Memory = request.app.state.readings
    memory.note(requests.contexts(request), requests.actor(request), type_, subject, workspace, parts, **data)


def content(request: Request, kind: str, sha256: str, parts: Iterable[str] = (), **data: Any) -> None:
    """A ``tree`` or ``blob`` of the store. It belongs to the workspace of the assets that it is, if they have one."""
    with requests.reading(request) as ctx:
        assets = catalog.of_content(ctx, sha256)
    places = {each.workspace for each in assets}
    note(
        request, "content.read", f"{kind}:sha256:{sha256}", places.pop() if len(places) == 1 else None,
        [f"blob:sha256:{each}" for each in parts], assets=[each.id for each in assets], **data,
    )  # fmt: skip
