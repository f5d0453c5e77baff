"""The API process."""

from __future__ import annotations

from typing import Any

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
        served, host=settings.host, port=settings.port, log_level="warning", log_config=None,
        timeout_graceful_shutdown=5, server_header=False, **forwarding(settings),
    )  # fmt: skip


def forwarding(settings: Settings) -> dict[str, Any]:
    """uvicorn believes this machine's programs by default; here nobody is believed who was not named."""
    return {"proxy_headers": bool(settings.trusted_proxies), "forwarded_allow_ips": settings.trusted_proxies or None}
