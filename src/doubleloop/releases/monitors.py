"""Putting the monitor of a stage in place. Its file names a deployment as the deployment's file does; the monitoring
room takes that for every deployment that releases make of it."""

from __future__ import annotations

from doubleloop.db.context import Contexts, Ctx
from doubleloop.monitoring import commands as monitoring
from doubleloop.releases import ports
from doubleloop.specs import documents


class RoomMonitors:
    """Fills ``ports.Monitors`` from the monitoring room."""

    def put(self, ctx: Ctx, document: documents.Document) -> None:
        monitoring.put(ctx, document)


def chosen(contexts: Contexts) -> ports.Monitors:
    plugged: ports.Monitors | None = contexts.ports.get(ports.Monitors)
    return plugged or RoomMonitors()
