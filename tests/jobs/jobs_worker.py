"""Worker processes for tests that kill them.

``python jobs_worker.py`` reads lines: ``start <home>`` forks a worker of what is imported already (to import it takes
most of a start) and answers ``<its pid>`` once it works; ``kill <pid>`` answers once it is dead. All end with the
input.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs_workshop import ThisPython

from doubleloop.compute import ports as compute_ports
from doubleloop.compute.local import LocalCompute
from doubleloop.db import engine
from doubleloop.db.context import Contexts
from doubleloop.durable.engine import Engine
from doubleloop.identity import ports as identity_ports
from doubleloop.jobs import ports, workflows
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage_ports
from doubleloop.storage.local import LocalBlobs
from doubleloop.tracking import ports as tracking_ports
from doubleloop.tracking.fake import MemoryTracking
from doubleloop.workspaces import queries as workspace_queries

HERE = Path(__file__)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class FileTracking(MemoryTracking):
    """Runs in a file, so that they outlive the process that made them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @contextmanager
    def _kept(self) -> Iterator[None]:
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            self.runs = json.loads(text) if text else {}
            yield
            file.truncate(0)
            file.write(json.dumps(self.runs))
            file.flush()

    def create_run(self, *arguments: Any) -> str:
        with self._kept():
            return super().create_run(*arguments)

    def find_run(self, *arguments: Any) -> str | None:
        with self._kept():
            return super().find_run(*arguments)

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Commands log by writing to a file named like their run."""
        file = self._path.parent / "metrics" / run_id
        return [(step, float(value)) for step, value in enumerate(file.read_text().split())] if file.exists() else []

    def set_tag(self, *arguments: Any) -> None:
        with self._kept():
            super().set_tag(*arguments)

    def log_metric(self, *arguments: Any) -> None:
        with self._kept():
            super().log_metric(*arguments)

    def end_run(self, *arguments: Any) -> None:
        with self._kept():
            super().end_run(*arguments)


def work(home: Path, ready: int) -> None:
    plugged: dict[type[Any], Any] = {
        storage_ports.Blobs: LocalBlobs(home / "blobs"),
        identity_ports.WorkspaceKinds: workspace_queries.Kinds(),
        Settings: Settings(home=home),
        compute_ports.Compute: LocalCompute(home),
        tracking_ports.Tracking: FileTracking(home / "tracking.json"),
        ports.Environments: ThisPython(),
    }
    contexts = Contexts(engine.create(f"sqlite:///{home / 'doubleloop.sqlite'}"), plugged)
    url = f"sqlite:///{home / 'durable.sqlite'}"
    worker = Engine(contexts, workflows.WORKFLOWS, url=url, poll_interval=0.05, slots={"compute": 2})
    worker.launch()
    os.write(ready, b"working")
    threading.Event().wait()


def forked(home: Path) -> int:
    """The pid of a worker that works; -1 when it died before."""
    seen, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(home / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        os.dup2(2, 1)
        # It goes when who started it is gone.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            work(home, ready)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(ready)
    with os.fdopen(seen, "rb") as file:
        return pid if file.read(7) == b"working" else -1


def main() -> None:
    for line in sys.stdin:
        verb, what = line.split(maxsplit=1)
        if verb == "start":
            print(forked(Path(what.strip())), flush=True)
        else:
            os.kill(int(what), signal.SIGKILL)
            os.waitpid(int(what), 0)
            print("dead", flush=True)


if __name__ == "__main__":
    main()
