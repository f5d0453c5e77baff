"""Work that may be late gives way to work that may not."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def lower(nice: int, pid: int = 0) -> None:
    """A process (0: this one) gives way to others by ``nice`` (1 to 19); one that is nicer already stays so.

    Linux lets sessions share the processor evenly where its autogroups are on (as on desktops, and by default in many
    distributions): what is nice is so to its own session alone. A process that leads a session makes that as nice.
    Raises ProcessLookupError for one that has ended.
    """
    os.setpriority(os.PRIO_PROCESS, pid, max(nice, os.getpriority(os.PRIO_PROCESS, pid)))
    if os.getsid(pid) == (pid or os.getpid()):
        with contextlib.suppress(OSError):  # there are no such groups here
            Path("/proc", str(pid or "self"), "autogroup").write_text(str(nice))


def background(nice: int, pid: int) -> None:
    """``lower``, and whatever else wants to run interrupts it at once, where the system has such a class (Linux's
    SCHED_IDLE). There it may get next to nothing for as long as all processors are busy.
    Raises ProcessLookupError for one that has ended."""
    lower(nice, pid)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
