"""Metrics sent to an OpenTelemetry collector now and then, when the environment names one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from doubleloop.gateway.metrics import Family

if TYPE_CHECKING:
    from doubleloop.gateway import otlp

logger = logging.getLogger(__name__)

# The interval and the last attempt at the end, in seconds. The first is OpenTelemetry's own default.
INTERVAL, LAST_SECONDS = 60.0, 2.0
PROTOCOL = "http/protobuf"


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's standard variables ask for metrics to be sent."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_METRICS_EXPORTER", "otlp").strip().lower() != "otlp":
        return False
    if not _either(environment, "ENDPOINT"):
        return False
    protocol = _either(environment, "PROTOCOL") or PROTOCOL
    if protocol != PROTOCOL:
        logger.error("metrics are not sent: they could be by %s, not by %s", PROTOCOL, protocol)
        return False
    return True


def _either(environment: Mapping[str, str], name: str) -> str:
    """The variable for metrics alone, else that for all signals."""
    alone = environment.get(f"OTEL_EXPORTER_OTLP_METRICS_{name}", "").strip()
    return alone or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def interval(environment: Mapping[str, str]) -> float:
    """Seconds between two exports."""
    said = environment.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    if not said:
        return INTERVAL
    if not said.isdigit() or int(said) == 0:
        logger.error("OTEL_METRIC_EXPORT_INTERVAL is '%s', no number of milliseconds: every %g s", said, INTERVAL)
        return INTERVAL
    return int(said) / 1000


class Pusher:
    """``read`` is awaited on the event loop; encoding and sending are done in a thread, one export at a time."""

    def __init__(self, read: Callable[[], Awaitable[list[Family]]], version: str, seconds: float) -> None:
        # OpenTelemetry takes a fifth of a second and 18 MB: only where it is wanted.
        from doubleloop.gateway import otlp

        self._read, self._seconds = read, seconds
        self._exporter: otlp.Exporter = otlp.Exporter(version)
        self._failed = False

    async def run(self) -> None:
        """Until it is cancelled; a collector that is away is told once, and again when it is back."""
        while True:
            await asyncio.sleep(self._seconds)
            await self._push()

    async def stop(self) -> None:
        """One last export, for which the end does not wait long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._push(), LAST_SECONDS)
        self._exporter.close()

    async def _push(self) -> None:
        try:
            sent = await asyncio.to_thread(self._exporter.send, await self._read(), time.time())
        except Exception:
            logger.exception("metrics could not be sent")
            return
        if sent == self._failed:
            self._failed = not sent
            logger.warning("metrics are %s", "sent again" if sent else "not taken by the collector; trying on")
