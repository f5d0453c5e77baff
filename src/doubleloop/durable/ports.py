"""What a workflow body may use. ``engine.DbosFlow`` is the real one, ``fake.EagerFlow`` runs in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from doubleloop.base import actors
from doubleloop.db.context import Contexts, Ctx


class Flow(Protocol):
    """Handed to every workflow body. All values that cross it are JSON."""

    id: str
    contexts: Contexts

    async def step(self, name: str, do: Callable[..., Any], *args: Any, slot: str | None = None) -> Any:
        """Run ``do(*args)`` in a thread and remember its JSON result; a replay returns the remembered one.

        ``slot`` names a limit shared by all workflows of a worker (``compute``). An error of the step ends the
        workflow unless the body catches it.
        """

    async def wait(self, topic: str, timeout: float) -> Any:
        """The next signal on ``topic``, or None after ``timeout`` seconds. Survives restarts; costs no thread."""

    async def sleep(self, seconds: float) -> None: ...

    def ctx(self, actor: actors.Actor, workspace: str | None = None) -> AbstractContextManager[Ctx]:
        """A write transaction, to be opened inside a step's function only."""


Body = Callable[[Flow, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Unfinished:
    """Something that only the workflow ``workflow_id`` ends.

    Should that have died, ``workflow`` goes on with ``argument``; ``give_up`` ends the thing itself, with a reason,
    when that has died as well.
    """

    workflow_id: str
    workflow: str
    argument: dict[str, Any]
    give_up: Callable[[Contexts, str], Any]


# What of a room is not finished.
Search = Callable[[Ctx], Iterable[Unfinished]]
