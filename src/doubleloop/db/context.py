"""``Ctx``: who acts, in which workspace, in which transaction, when, and which implementations fill the ports.

Every command and query takes it first, so authorization, audit and time cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from doubleloop.base import actors, clock, errors
from doubleloop.db import engine as engines

P = TypeVar("P")


@dataclass(frozen=True)
class Ctx:
    """``workspace`` is None for what belongs to the whole installation. ``grants``: what was permitted so far."""

    actor: actors.Actor
    workspace: str | None
    tx: sa.Connection
    now: datetime
    ports: Mapping[type[Any], Any]
    grants: list[actors.Grant] = field(default_factory=list, compare=False, repr=False)

    def port(self, kind: type[P]) -> P:
        """What ``wiring`` plugged in for this protocol. Raises Unavailable when nothing was."""
        try:
            return self.ports[kind]
        except KeyError:
            raise errors.Unavailable(f"Nothing is plugged in for {kind.__module__}.{kind.__name__}") from None

    def in_workspace(self, workspace: str | None) -> Ctx:
        return replace(self, workspace=workspace)

    def acting_as(self, actor: actors.Actor) -> Ctx:
        """The same request, or work of the system's own, in another's name."""
        return replace(self, actor=replace(actor, origin=actor.origin or self.actor.origin))


@dataclass(frozen=True)
class Contexts:
    """Opens contexts: one database, one clock, one set of plugged-in parts."""

    engine: sa.Engine
    ports: Mapping[type[Any], Any]
    now: Callable[[], datetime] = clock.now

    @contextmanager
    def write(self, actor: actors.Actor, workspace: str | None = None) -> Iterator[Ctx]:
        """A transaction that commits at the end and rolls back on any error."""
        with self.engine.begin() as tx:
            yield self._ctx(actor, workspace, tx)

    @contextmanager
    def read(self, actor: actors.Actor, workspace: str | None = None) -> Iterator[Ctx]:
        """A consistent look that takes no write lock and leaves nothing behind."""
        with self.engine.connect().execution_options(**engines.looking(self.engine)) as tx:
            yield self._ctx(actor, workspace, tx)

    def _ctx(self, actor: actors.Actor, workspace: str | None, tx: sa.Connection) -> Ctx:
        """A request may take several transactions, and what one of them permitted is told by the facts of the next."""
        grants = actor.origin.grants if actor.origin else []
        return Ctx(actor, workspace, tx, self.now(), self.ports, grants)

    def port(self, kind: type[P]) -> P:
        try:
            return self.ports[kind]
        except KeyError:
            raise errors.Unavailable(f"Nothing is plugged in for {kind.__module__}.{kind.__name__}") from None
