"""Where a step's environment comes from: what is plugged in, else the environments room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doubleloop.base import actors
from doubleloop.db.context import Contexts
from doubleloop.environments import commands as environments
from doubleloop.environments import queries, sources
from doubleloop.jobs import ports


class RoomEnvironments:
    """Fills ``ports.Environments`` from the environments room, on behalf of the job's owner."""

    def prepare(
        self,
        contexts: Contexts,
        actor: actors.Actor,
        workspace: str,
        environment: str | Mapping[str, Any],
        progress: Callable[[str], None],
    ) -> ports.Built:
        with contexts.read(actor, workspace) as ctx:
            source = queries.resolve(ctx, environment if isinstance(environment, str) else dict(environment))
        return environments.prepare(contexts, workspace, source, progress)


def with_kit(contexts: Contexts, built: ports.Built, progress: Callable[[str], None]) -> None:
    """A serving kit beside an environment of the environments room's own."""
    if isinstance(built, sources.Prepared):
        environments.serving_kit(contexts, built, progress)


def chosen(contexts: Contexts) -> ports.Environments:
    plugged: ports.Environments | None = contexts.ports.get(ports.Environments)
    return plugged or RoomEnvironments()
