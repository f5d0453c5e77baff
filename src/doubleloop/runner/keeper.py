"""The keeper stands between the supervisor and the command, and sees to it that nothing of the command is left behind.

It adopts every orphan below it, so the whole tree can always be found. It ends the tree when the command has ended,
when it is told to, and when the supervisor is gone (its end of the lifeline closes).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import time

from . import process

TERMINATE = b"t"  # ask the command to end; it may take its time
KILL = b"k"  # end it now

_KILL_PAUSE_S = 0.02
_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """Runs in a process of its own, forked from the supervisor while that had no threads."""

    def __init__(self, lifeline: int, report: int) -> None:
        self._lifeline = lifeline
        self._report = report
        self._bash = 0
        self._status = -1
        self._asked_to_end = False

    def keep(self, argv: list, cwd: str, env: dict, output: int, file_limit: int) -> None:
        """Start the command, wait for its end, write one JSON line to the report pipe. Never raises."""
        wakeup = _wake_on_child()
        process.adopt_orphans()
        try:
            self._bash = _start(argv, cwd, env, output, file_limit)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._tell({"error": "the command could not be started: %s" % error})
            return
        finally:
            os.close(output)
        self._tell({"pid": self._bash})
        while self._reap():
            ready, _, _ = select.select([wakeup, self._lifeline], [], [], 1.0)
            if wakeup in ready:
                os.read(wakeup, 512)
            if self._lifeline in ready:
                self._obey(os.read(self._lifeline, 1))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._tell(
            {"status": self._status, "max_rss": used.ru_maxrss * 1024, "cpu_seconds": used.ru_utime + used.ru_stime}
        )

    def _reap(self) -> bool:
        """Collect who has ended; whether anyone is left. What a finished command left running is killed."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._bash:
                self._status = status
                if not self._asked_to_end:
                    self._kill_everyone()

    def _obey(self, order: bytes) -> None:
        if order == TERMINATE:
            self._asked_to_end = True
            process.signal_all(process.descendants(os.getpid()), signal.SIGTERM)
        else:  # KILL, or the end of the lifeline: the supervisor is dead
            self._asked_to_end = True
            self._kill_everyone()

    def _kill_everyone(self) -> None:
        """Look again until nobody is found: a process may have forked between the look and the kill."""
        while True:
            found = process.descendants(os.getpid())
            if not found:
                return
            process.signal_all(found, signal.SIGKILL)
            time.sleep(_KILL_PAUSE_S)

    def _tell(self, message: dict) -> None:
        with contextlib.suppress(OSError):  # the supervisor is dead: nobody to tell
            os.write(self._report, json.dumps(message).encode() + b"\n")


def _start(argv: list, cwd: str, env: dict, output: int, file_limit: int) -> int:
    keeper = os.getpid()

    def in_child() -> None:
        process.die_with_parent(keeper)
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL)
        if file_limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    started = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=in_child,  # safe: this process has one thread
    )
    started.returncode = 0  # we wait for it ourselves, together with the orphans; Popen must not
    return started.pid


def _wake_on_child() -> int:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in _OURS:
        signal.signal(number, signal.SIG_IGN)  # orders come through the lifeline only
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
