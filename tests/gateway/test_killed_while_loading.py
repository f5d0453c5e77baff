"""A process that somebody kills while it loads its model says nothing about the model, unless it happens every time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from gateway_harness import Gateway, endpoint, wait_for

from doubleloop.gateway import protocol

Script = Callable[..., protocol.Deployment]

# Loads at once where the file "go" lies, otherwise it waits for it.
SLOW = """
import os, time

def init():
    while not os.path.exists({go!r}):
        time.sleep(0.02)

def run(data):
    return 1
"""


def _state(gateway: Gateway) -> protocol.DeploymentStatus:
    return gateway.applied().endpoints["shop/bikes"].deployments["blue"]


def _loading(gateway: Gateway, script: Script, folder: Path) -> Path:
    (folder / "score.py").write_text(SLOW.format(go=str(folder / "go")))
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", code_dir=str(folder))})}, converge=False)
    return folder / "go"


def _kill(gateway: Gateway, known: set[int]) -> None:
    found = wait_for(lambda: [pid for pid in gateway.scorers() if pid not in known], "a scorer that loads")
    known.update(found)
    os.kill(found[0], signal.SIGKILL)


def test_a_scorer_that_was_killed_while_it_loaded_is_no_failed_start(
    gateway: Gateway, script: Script, tmp_path: Path
) -> None:
    go = _loading(gateway, script, tmp_path)
    known: set[int] = set()
    seen = set()
    for _ in range(2):
        _kill(gateway, known)
        wait_for(lambda: [pid for pid in gateway.scorers() if pid not in known], "the next one")
        seen.add(_state(gateway).state)
    go.touch()
    status = gateway.converged()
    assert seen == {"starting"}
    assert status.endpoints["shop/bikes"].deployments["blue"].state == "ready"


def test_one_that_is_killed_every_time_is(gateway: Gateway, script: Script, tmp_path: Path) -> None:
    _loading(gateway, script, tmp_path)
    known: set[int] = set()
    for _ in range(3):
        _kill(gateway, known)
    status = wait_for(lambda: next((s for s in [_state(gateway)] if s.error), None), "the failure")
    assert status.state == "failed"
    assert "ended by signal SIGKILL before its model was ready" in status.error
