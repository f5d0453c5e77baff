"""Step runs as processes of this machine.

Everything about a run is in its directory ``<home>/runs/<id>/attempt-<n>``: ``job.json`` (what was asked), ``pid``,
``exit.json`` (what became of it), ``logs/std_log.txt``, ``code`` (its working directory). Of secrets ``job.json`` has
the names; their values are in the memory of the runner and its command alone. Nothing is kept in memory here, so
a control plane that was killed finds its runs again, and they never noticed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleloop.base import errors, ids
from doubleloop.compute import model, ports
from doubleloop.runner import disk, process, run, supervisor

_RUNNER = Path(run.__file__)
_START_TIMEOUT_S = 120
_POLL_S = 0.05
# Somebody killed the runner, or the process it forked: nothing is known against the run itself.
_KILLED = (-signal.SIGKILL, run.DIED)
_STARTS = 3

_STATES = {supervisor.COMPLETED: model.State.SUCCEEDED, supervisor.CANCELLED: model.State.CANCELLED}


class LocalCompute:
    """Fills ``ports.Compute``. ``home`` is Doubleloop's home folder; any number of these may share one.

    ``network`` holds variables that commands need to reach package indexes (proxies, certificates). Nothing else is
    inherited, because the control plane's own environment may hold secrets; a run's own variables win.
    """

    def __init__(self, home: Path, network: Mapping[str, str] | None = None) -> None:
        self._runs = Path(home) / "runs"
        self._network = dict(network or {})

    def start(self, run: model.StepRun) -> None:
        rundir = self.directory(run.id, run.attempt)
        if (rundir / "pid").exists():
            return
        rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (rundir / "job.json").exists():
            disk.write_json(str(rundir / "job.json"), _job(run, self._network), mode=0o600)
        _launch(run, rundir)

    def poll(self, id: str, attempt: int = ports.LATEST) -> model.Status:
        rundir = self._find(id, attempt)
        who = _read_json(rundir / "pid")
        running = who is not None and process.alive(who)
        # The outcome is read after the look at the process: it is written before the process ends.
        outcome = _read_json(rundir / "exit.json")
        if outcome is not None:
            return _ended(outcome)
        if who is None:
            return model.Status(model.State.QUEUED)
        if running:
            return model.Status(model.State.RUNNING)
        return model.Status(
            model.State.LOST, "killed", "the runner was killed, or the machine stopped, before the command had ended"
        )

    def wait(self, id: str, timeout: float | None = None, attempt: int = ports.LATEST) -> model.Status:
        rundir = self._find(id, attempt)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            status = self.poll(id, attempt)
            left = None if deadline is None else deadline - time.monotonic()
            if status.state.ended or (left is not None and left <= 0):
                return status
            _wait_for_end(_read_json(rundir / "pid"), left)

    def cancel(self, id: str, attempt: int = ports.LATEST) -> None:
        (self._find(id, attempt) / "cancel").touch()

    def logs(self, id: str, offset: int = 0, attempt: int = ports.LATEST) -> bytes:
        try:
            with (self._find(id, attempt) / "logs" / "std_log.txt").open("rb") as file:
                file.seek(max(offset, 0))
                return file.read(ports.LOG_CHUNK_BYTES)
        except FileNotFoundError:
            return b""

    def code(self, id: str, attempt: int = ports.LATEST) -> Path:
        return self._find(id, attempt) / "code"

    def directory(self, id: str, attempt: int) -> Path:
        """Where everything about this attempt is or will be. Raises InvalidInput."""
        if not ids.is_name(id) or attempt < 1:
            raise errors.InvalidInput(
                f"'{id}' attempt {attempt} cannot name a run: letters, digits, . _ - and attempts from 1"
            )
        return self._runs / id / f"attempt-{attempt}"

    def _find(self, id: str, attempt: int) -> Path:
        number = attempt or self._latest(id)
        if number and (rundir := self.directory(id, number)).joinpath("job.json").exists():
            return rundir
        raise errors.NotFound(f"run '{id}'{f' attempt {attempt}' if attempt else ''} was never started on this compute")

    def _latest(self, id: str) -> int:
        numbers = [
            int(found.name.removeprefix("attempt-"))
            for found in self.directory(id, 1).parent.glob("attempt-*")
            if (found / "job.json").exists()
        ]
        return max(numbers, default=0)


def _job(run: model.StepRun, network: Mapping[str, str]) -> dict[str, Any]:
    outputs = {name: {"path": str(output.path), "type": output.type} for name, output in run.outputs.items()}
    return {
        "id": run.id,
        "attempt": run.attempt,
        "command": run.command,
        "code_dir": str(run.code) if run.code else "",
        "env": {**network, **run.env},
        "secrets": sorted(run.secrets),
        "inputs": dict(run.inputs),
        "outputs": outputs,
        "launcher": dict(run.launcher),
        "timeout_s": run.timeout_s,
        "quota_bytes": run.quota_bytes,
        "grace_s": run.grace_s,
        "log_cap_bytes": run.log_cap_bytes,
    }


def _launch(run: model.StepRun, rundir: Path) -> None:
    """Returns when a runner holds, or has held, the run. One that is killed before it could is started again."""
    for attempt in range(1, _STARTS + 1):
        done = _start_runner(run, rundir)
        if done.returncode in (0, 75):
            return
        if done.returncode not in _KILLED or attempt == _STARTS:
            said = done.stderr.decode(errors="replace").strip()[-2000:]
            raise errors.Failed(f"run '{run.id}' could not be started: {said or f'exit code {done.returncode}'}")
        if (rundir / "pid").exists():
            return


def _start_runner(run: model.StepRun, rundir: Path) -> subprocess.CompletedProcess[bytes]:
    """``-S`` keeps the user's packages and their start-up hooks out of it."""
    argv = [str(run.python), "-E", "-s", "-S", str(_RUNNER), str(rundir / "job.json")]
    try:
        return subprocess.run(
            argv,
            input=json.dumps(dict(run.secrets)).encode(),  # through a pipe: files and arguments are read along
            capture_output=True,
            env=_runner_env(),
            timeout=_START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.Failed(
            f"run '{run.id}' could not be started with {run.python}: {error}",
            cure="Build its environment again; then retry the step.",
        ) from error


def _runner_env() -> dict[str, str]:
    return {"LANG": "C.UTF-8", "PATH": os.defpath}


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except FileNotFoundError:
        return None


def _ended(outcome: dict[str, Any]) -> model.Status:
    produced = {name: model.Produced(**output) for name, output in outcome.get("outputs", {}).items()}
    known = {name: value for name, value in outcome.items() if name in model.Exit.__dataclass_fields__}
    found = model.Exit(**{**known, "outputs": produced})
    return model.Status(_STATES.get(found.reason, model.State.FAILED), found.reason, found.message, found)


def _wait_for_end(who: dict[str, Any] | None, timeout: float | None) -> None:
    """Sleep until this process ends (the kernel wakes us) or ``timeout`` seconds have gone by."""
    pause = _POLL_S if timeout is None else min(_POLL_S, timeout)
    if who is None or not process.alive(who):
        time.sleep(pause)
        return
    try:
        handle = os.pidfd_open(who["pid"])
    except (ProcessLookupError, OSError):
        time.sleep(pause)
        return
    try:
        if process.alive(who):  # still the same one now that we hold it
            select.select([handle], [], [], timeout)
    finally:
        os.close(handle)
