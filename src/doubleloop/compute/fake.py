"""Compute that plays step runs from a script, in memory: for tests of the rooms above, and for trial."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from doubleloop.base import clock, errors
from doubleloop.compute import model, ports


@dataclass(frozen=True)
class Play:
    """What a run does. ``hold``: it goes on until ``finish``, ``lose`` or ``cancel``; ``act`` may write files."""

    exit_code: int = 0
    log: bytes = b""
    hold: bool = False
    act: Callable[[model.StepRun], None] | None = None


@dataclass
class _Played:
    run: model.StepRun
    status: model.Status
    log: bytes = b""
    started_at: str = field(default_factory=lambda: clock.iso(clock.now()))


class FakeCompute:
    """Fills ``ports.Compute``. ``script`` says for each run what it does; the default succeeds at once.

    ``started`` lists the runs in the order in which they were really started (a repeated start is not in it).
    """

    def __init__(self, script: Callable[[model.StepRun], Play] | None = None, home: Path = Path("/nowhere")) -> None:
        self._script = script or (lambda run: Play())
        self._home = home
        self._played: dict[tuple[str, int], _Played] = {}
        self._changed = threading.Condition()
        self.started: list[model.StepRun] = []

    def start(self, run: model.StepRun) -> None:
        with self._changed:
            if (run.id, run.attempt) in self._played:
                return
            play = self._script(run)
            played = _Played(run, model.Status(model.State.RUNNING), play.log)
            self._played[run.id, run.attempt] = played
            self.started.append(run)
            if play.act:
                play.act(run)
            if not play.hold:
                _end(played, play.exit_code)
            self._changed.notify_all()

    def poll(self, id: str, attempt: int = ports.LATEST) -> model.Status:
        with self._changed:
            return self._find(id, attempt).status

    def wait(self, id: str, timeout: float | None = None, attempt: int = ports.LATEST) -> model.Status:
        with self._changed:
            played = self._find(id, attempt)
            self._changed.wait_for(lambda: played.status.state.ended, timeout)
            return played.status

    def cancel(self, id: str, attempt: int = ports.LATEST) -> None:
        with self._changed:
            played = self._find(id, attempt)
            if not played.status.state.ended:
                _end(played, None, "cancelled", model.State.CANCELLED)
                self._changed.notify_all()

    def logs(self, id: str, offset: int = 0, attempt: int = ports.LATEST) -> bytes:
        with self._changed:
            return self._find(id, attempt).log[max(offset, 0) :][: ports.LOG_CHUNK_BYTES]

    def code(self, id: str, attempt: int = ports.LATEST) -> Path:
        with self._changed:
            run = self._find(id, attempt).run
            return self._home / "runs" / run.id / f"attempt-{run.attempt}" / "code"

    def output(self, id: str, data: bytes) -> None:
        """The latest attempt prints something."""
        with self._changed:
            self._find(id, ports.LATEST).log += data

    def finish(self, id: str, exit_code: int = 0) -> None:
        """The latest attempt ends by itself."""
        with self._changed:
            _end(self._find(id, ports.LATEST), exit_code)
            self._changed.notify_all()

    def lose(self, id: str) -> None:
        """The runner of the latest attempt is killed."""
        with self._changed:
            self._find(id, ports.LATEST).status = model.Status(model.State.LOST, "killed", "the runner was killed")
            self._changed.notify_all()

    def _find(self, id: str, attempt: int) -> _Played:
        number = attempt or max((n for known, n in self._played if known == id), default=0)
        if (id, number) not in self._played:
            raise errors.NotFound(f"run '{id}' was never started on this compute")
        return self._played[id, number]


def _end(played: _Played, exit_code: int | None, reason: str = "", state: model.State | None = None) -> None:
    reason = reason or ("exit code" if exit_code else "completed")
    state = state or (model.State.FAILED if exit_code else model.State.SUCCEEDED)
    message = f"exited with code {exit_code}" if exit_code else ""
    produced = {name: _produced(output.path) for name, output in played.run.outputs.items()}
    ended = model.Exit(
        exit_code, None, reason, message, played.started_at, clock.iso(clock.now()),
        log_bytes=len(played.log), outputs=produced,
    )  # fmt: skip
    played.status = model.Status(state, reason, message, ended)


def _produced(path: Path) -> model.Produced:
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return model.Produced("folder", len(files), sum(file.stat().st_size for file in files))
    if path.exists():
        return model.Produced("file", 1, path.stat().st_size)
    return model.Produced("missing", 0, 0)
