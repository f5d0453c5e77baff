"""Readings that stand on record: one entry for each thing that somebody takes, not for each piece of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from doubleloop.base import actors
from doubleloop.db.context import Contexts
from doubleloop.events import commands

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
        self,
        contexts: Contexts,
        actor: actors.Actor,
        type_: str,
        subject: str,
        workspace: str | None,
        parts: Iterable[str] = (),
        **data: Any,
    ) -> None:
        """On record, before a byte leaves, unless it is there already: what cannot be noted is not handed out."""
        if self.knows(actor, subject, contexts.now()):
            return
        with contexts.write(actor, workspace) as ctx:
            commands.record(ctx, type_, subject, **data)
        self.add(actor, [subject, *parts], contexts.now())
