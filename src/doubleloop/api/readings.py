"""Reading what is sensitive stands on record: folders and files of data, models and code, MLflow's artifacts, logs.

One entry for each thing that somebody takes, not for each piece of it: a folder once and not its files again, a file
once and not each time that a broken download goes on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request

from doubleloop.api import requests
from doubleloop.base import actors
from doubleloop.catalog import queries as catalog
from doubleloop.events import commands as events

# Who takes the same again within so long is not noted again.
WITHIN = timedelta(hours=1)
REMEMBERED = 200_000


class Memory:
    """What each token has taken lately, in this process; the oldest is forgotten first, and noted again then."""

    def __init__(self) -> None:
        self._taken: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, actor: actors.Actor, thing: str, now: datetime) -> bool:
        with self._lock:
            taken = self._taken.get((actor.token or actor.id, thing))
        return taken is not None and now - taken < WITHIN

    def add(self, actor: actors.Actor, things: Iterable[str], now: datetime) -> None:
        with self._lock:
            for thing in things:
                key = (actor.token or actor.id, thing)
                self._taken[key] = now
                self._taken.move_to_end(key)
            while len(self._taken) > REMEMBERED:
                self._taken.popitem(last=False)


def note(
    request: Request, type_: str, subject: str, workspace: str | None, parts: Iterable[str] = (), **data: Any
) -> None:
    """On record before a byte leaves: what cannot be noted is not handed out.

    ``parts``: what is taken with it, and will be asked for piece by piece.
    """
    memory: Memory = request.app.state.readings
    actor, contexts = requests.actor(request), requests.contexts(request)
    if memory.knows(actor, subject, contexts.now()):
        return
    with contexts.write(actor, workspace) as ctx:
        events.record(ctx, type_, subject, **data)
    memory.add(actor, [subject, *parts], contexts.now())


def content(request: Request, kind: str, sha256: str, parts: Iterable[str] = (), **data: Any) -> None:
    """A ``tree`` or ``blob`` of the store. It belongs to the workspace of the assets that it is, if they have one."""
    with requests.reading(request) as ctx:
        assets = catalog.of_content(ctx, sha256)
    places = {each.workspace for each in assets}
    note(
        request, "content.read", f"{kind}:sha256:{sha256}", places.pop() if len(places) == 1 else None,
        [f"blob:sha256:{each}" for each in parts], assets=[each.id for each in assets], **data,
    )  # fmt: skip
