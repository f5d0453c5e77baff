"""A server as a tree of processes: what it uses, where it may run, and how it is held and ended (Linux's /proc)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# In the environment of each server: finds processes that left their parents.
MARK = "DOUBLELOOP_BENCHMARK_SERVER"


class Tree:
    """The process that was started and whatever it started, also what was orphaned (by ``MARK``).

    A process that died takes its time along, unless its parent waited for it; servers that live long have few.
    """

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self.process, self._mark = process, f"{MARK}={mark}".encode()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def pids(self) -> list[int]:
        parents = {pid: parent for pid in _all() if (parent := _parent(pid)) is not None}
        found = {self.process.pid} | {pid for pid in parents if self._mark in _environment(pid)}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(pid for pid in found if pid in parents)

    def cpu(self) -> float:
        """Seconds of processor time so far, of living processes and of children they waited for."""
        return sum(_cpu(pid) for pid in self.pids())

    def memory(self) -> float:
        """Megabytes (10^6 bytes), proportional set size: what is shared counts once over all who share it."""
        return sum(pss(pid) for pid in self.pids())

    def pin(self, cpu: int | None) -> None:
        """All threads, and what they start later, on one processor."""
        if cpu is None:
            return
        for pid in self.pids():
            for task in _numbers(Path("/proc", str(pid), "task")):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(task, {cpu})

    def hold(self) -> None:
        """Takes no processor time until ``release``."""
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self, seconds: float = 15.0) -> None:
        """Asked first, so that it may end its children itself; then killed, with all that is left of it."""
        left = self.pids()
        self.release()
        if self.alive:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        for pid in {*left, *self.pids()} if self.alive else _living(left, self._mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def pss(pid: int) -> float:
    """Megabytes of one process; 0 when it has ended."""
    return _rollup(pid, "Pss:")


def rss(pid: int) -> float:
    return _rollup(pid, "Rss:")


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def idle(tree: Tree, share: float = 0.05, seconds: float = 0.5, most: float = 20.0) -> None:
    """Returns when the tree uses less than ``share`` of a processor, or after ``most`` seconds."""
    deadline = time.monotonic() + most
    while time.monotonic() < deadline:
        before = tree.cpu()
        time.sleep(seconds)
        if tree.cpu() - before <= share * seconds + 1.5 / TICKS:
            return


def _living(pids: Iterable[int], mark: bytes) -> set[int]:
    """Of ``pids``, those that are still the same processes, and all that carry the mark."""
    return {pid for pid in _all() if mark in _environment(pid)} | {pid for pid in pids if _parent(pid) == 1}


def _all() -> list[int]:
    return _numbers(Path("/proc"))


def _numbers(folder: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    return []


def _stat(pid: int) -> list[str]:
    """The fields after the name, from ``state`` on; empty when it has ended."""
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields and fields[0] not in "ZX" else None


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(each) for each in fields[11:15]) / TICKS if fields else 0.0


def _environment(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "environ").read_bytes()
    return b""


def _rollup(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0
