"""Work that may be late gives way to work that may not."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from doubleloop.base import errors

# The least of the real-time priorities: before all ordinary processes, after everything else that is real-time.
_REALTIME = 1


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


def realtime() -> None:
    """This thread runs before all ordinary processes of the machine (Linux's SCHED_RR), and what it starts does not.
    Raises errors.InvalidInput where the system does not allow it."""
    if not hasattr(os, "SCHED_RR"):
        raise errors.InvalidInput("this system has no real-time priorities", cure="leave the priority at normal")
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_REALTIME))
    except OSError as error:
        raise errors.InvalidInput(
            f"the system does not allow real-time priority: {error.strerror}",
            cure="give the user the right (systemd: LimitRTPRIO=1; containers: CAP_SYS_NICE), or leave it at normal",
        ) from None


def is_realtime() -> bool:
    """Of this thread."""
    return hasattr(os, "SCHED_RR") and os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR
