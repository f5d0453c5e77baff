"""Starting, watching, restarting and stopping the children of one home folder."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from doubleloop.base import errors
from doubleloop.main import children as definitions
from doubleloop.settings.model import Settings

LOG = logging.getLogger("doubleloop.supervisor")

PR_SET_PDEATHSIG = 1
RESTART_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
# A child that ran this long is healthy again: its next restart is quick.
STEADY_SECONDS = 30.0
# How long the kernel may take to end a killed process.
KILL_SECONDS = 10.0


@dataclass
class Running:
    child: definitions.Child
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0


class Lock:
    """One supervisor per home folder. The lock goes with the process, however it ends."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "supervisor.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> int | None:
        """The process that holds the lock, or None when nobody does."""
        if not self._path.exists():
            return None
        with self._path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                text = file.read().strip()
                return int(text) if text else None
            return None


def _die_with(parent: int) -> Callable[[], None]:
    """For the child, before exec: get SIGTERM when the supervisor dies, so that a killed one leaves nothing behind."""

    def in_child() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.setsid()
        if os.getppid() != parent:  # it died before we could ask to be told
            os._exit(1)

    return in_child


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process: tells a process from a later one with the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


class Supervisor:
    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._running: dict[str, Running] = {}
        self._stopping = threading.Event()
        self._record = _record(settings)

    def run(self, on_start: Callable[[], None]) -> None:
        """Start everything, call ``on_start``, watch until asked to stop, stop everything."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            for child in definitions.children(self._settings):
                self._start(child)
            threading.Thread(target=on_start, name="on-start", daemon=True).start()
            while not self._stopping.wait(0.1):
                self._watch()
        finally:
            self._stop_all()

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _start(self, child: definitions.Child, failures: int = 0) -> None:
        logs = self._settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{child.name}.log").open("ab") as log:
            process = subprocess.Popen(
                child.command, env={**os.environ, **child.environment}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, cwd=self._settings.home, preexec_fn=_die_with(os.getpid()),
            )  # fmt: skip
        self._running[child.name] = Running(child, process, time.monotonic(), failures)
        self._write_record()

    def _write_record(self) -> None:
        body = {
            name: {"pid": each.process.pid, "start_time": start_time(each.process.pid), "failures": each.failures}
            for name, each in self._running.items()
        }
        beside = self._record.with_suffix(".incoming")
        beside.write_text(json.dumps(body))
        beside.rename(self._record)

    def _watch(self) -> None:
        for name, each in list(self._running.items()):
            code = each.process.poll()
            if code is None:
                continue
            lived = time.monotonic() - each.started
            failures = 0 if lived > STEADY_SECONDS else each.failures + 1
            pause = RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]
            if lived < pause:
                continue
            self._say(f"{name} ended ({_cause(code)}) and is started again; its log: logs/{name}.log")
            self._start(each.child, failures)

    def _stop_all(self) -> None:
        for each in reversed(list(self._running.values())):
            if each.process.poll() is None:
                each.process.terminate()
                try:
                    each.process.wait(each.child.stop_seconds)
                except subprocess.TimeoutExpired:
                    self._say(f"{each.child.name} did not stop in {each.child.stop_seconds:.0f} s and is killed")
                    each.process.kill()
                    each.process.wait()
        self._record.unlink(missing_ok=True)


def _record(settings: Settings) -> Path:
    return settings.home / "run" / "processes.json"


def _entries(settings: Settings) -> dict[str, Any]:
    """What runs, by name: pid, start_time, failures (in a row, each soon after it was started)."""
    try:
        return dict(json.loads(_record(settings).read_text()))
    except (OSError, ValueError):
        return {}


def hopeless(settings: Settings) -> list[str]:
    """The children that were started again and again, and ended soon each time."""
    return [name for name, entry in _entries(settings).items() if entry.get("failures", 0) >= len(RESTART_SECONDS)]


def end_leftovers(settings: Settings) -> None:
    """Wait until the children of a supervisor that was killed have ended, and make them. They were told to when it
    died; until then they hold its ports, and work that must not be done twice at once. How often they failed is nothing
    to the next one."""
    entries = _entries(settings)
    for child in reversed(definitions.children(settings)):
        entry = entries.get(child.name)
        if entry and entry["start_time"] and start_time(entry["pid"]) == entry["start_time"]:
            end(entry["pid"], child.stop_seconds)
    _record(settings).unlink(missing_ok=True)


def end(pid: int, seconds: float) -> bool:
    """Ask a process to stop, kill it after ``seconds``; returns once all of it has gone, threads that hold its ports
    included. False when it was not there."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, KILL_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                break
    finally:
        os.close(handle)
    return True


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def check_port(host: str, port: int, flag: str) -> None:
    """Raise Unavailable when somebody listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise errors.Unavailable(
                f"Port {port} on {host} cannot be used: {error.strerror}", cure=f"Choose another with {flag}."
            ) from error
