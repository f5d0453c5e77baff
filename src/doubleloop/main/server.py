"""The API process."""

from __future__ import annotations

import uvicorn

from doubleloop import wiring
from doubleloop.api import app
from doubleloop.console import pages
from doubleloop.settings.model import Settings


def run(settings: Settings) -> None:
    """Serve until SIGTERM."""
    contexts = wiring.contexts(settings)
    served = app.create(contexts, settings)
    pages.mount(served, contexts, settings)
    uvicorn.run(
        served, host=settings.host, port=settings.port, log_level="warning",
        timeout_graceful_shutdown=5, server_header=False,
    )  # fmt: skip
