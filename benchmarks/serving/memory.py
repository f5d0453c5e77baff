"""What an idle deployment of Doubleloop holds above its model, measured before anything else is started."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import ours, processes, servers
from doubleloop.base import errors
from doubleloop.gateway import protocol

SETTLE = 2.0
LONGEST = 240.0


@dataclass(frozen=True)
class Idle:
    """Megabytes of proportional set size: of a process with the model loaded, of the scorer, of the gateway (and what
    it starts beside scorers) before and after it has the deployment."""

    model: float
    scorer: float
    gateway_before: float
    gateway_after: float

    @property
    def above(self) -> float:
        return self.scorer - self.model + self.gateway_after - self.gateway_before


def measure(bin: Path, model: Path, folder: Path) -> Idle:
    """``folder`` is a new home. Raises TimeoutError when the deployment does not get ready."""
    bare = _bare(bin, model)
    folder.mkdir(parents=True)
    ours.want(folder, None)
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(ours.gateway(folder, servers.free_ports()), stdout=log, stderr=log)
    tree = processes.Tree(process, str(folder))
    try:
        _converged(folder, 1)
        before = tree.memory()
        ours.want(folder, ours.deployment(bin, model), generation=2)
        _converged(folder, 2)
        scorers = [pid for pid in tree.pids() if "serve.py" in processes.command(pid)]
        scorer = sum(processes.pss(pid) for pid in scorers)
        return Idle(bare, scorer, before, tree.memory() - scorer)
    finally:
        tree.end()


def _bare(bin: Path, model: Path) -> float:
    command = [str(bin / "python"), str(Path(__file__).with_name("bare.py")), str(model / "mlflow")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"loaded\n":
            raise servers.NotServed("a bare process could not load the model")
        time.sleep(SETTLE)
        return processes.pss(process.pid)
    finally:
        process.kill()
        process.communicate()


def _converged(home: Path, generation: int) -> None:
    """When it runs all that it should, and has settled."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        try:
            status = protocol.read_status(home)
            if status.generation == generation and status.converged:
                time.sleep(SETTLE)
                return
        except errors.Unavailable:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the gateway of {home} did not get ready within {LONGEST:.0f} s")
