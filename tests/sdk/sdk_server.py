"""The real API with a worker beside it: jobs run as real processes, in this Python, with tracking in memory."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

import api_server
from jobs_workshop import ThisPython

from doubleloop.durable.fake import EagerEngine
from doubleloop.jobs import ports, workflows
from doubleloop.settings.model import Settings
from doubleloop.tracking import ports as tracking
from doubleloop.tracking.fake import MemoryTracking


@contextmanager
def working(home: Path) -> Iterator[api_server.Served]:
    """A server in ``home`` (with users and workspaces as in ``api_server``) that carries out what it is given."""
    tokens = api_server.template(home)
    with api_server.serve(Settings(home=home), tokens) as served:
        served.contexts.ports[tracking.Tracking] = MemoryTracking()  # type: ignore[index]
        served.contexts.ports[ports.Environments] = ThisPython()  # type: ignore[index]
        ended = threading.Event()
        worker = threading.Thread(target=_work, args=(served, ended), daemon=True)
        worker.start()
        try:
            yield served
        finally:
            ended.set()
            worker.join(60)


class UnhurriedEngine(EagerEngine):
    """Looks for work twenty times a second at most: each look is a transaction."""

    _looked = 0.0

    def pump_once(self) -> int:
        if time.monotonic() - self._looked < 0.05:
            return 0
        self._looked = time.monotonic()
        return super().pump_once()


def _work(served: api_server.Served, ended: threading.Event) -> None:
    engine = UnhurriedEngine(served.contexts, workflows.WORKFLOWS)
    while not ended.is_set():
        engine.run(timeout=600)
        time.sleep(0.05)
