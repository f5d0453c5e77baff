"""What the kernel says about processes: who is alive, who descends from whom, who dies with whom."""

from __future__ import annotations

import contextlib
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def identity(pid: int) -> dict | None:
    """What tells this process from a later one with the same number; None when it is gone or a zombie.

    ``started`` is in clock ticks since boot, so the boot id belongs to it.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return {"pid": pid, "started": int(fields[19]), "boot": _boot_id()}


def alive(who: dict) -> bool:
    """Whether the very process that ``identity`` described still runs."""
    return identity(int(who["pid"])) == who


def descendants(pid: int) -> list:
    """Every living process below ``pid``, nearest first; zombies are left out."""
    children: dict = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields is not None and fields[0] not in ("Z", "X"):
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found.extend(below)
        waiting.extend(below)
    return found


def signal_all(pids: list, number: int) -> None:
    for pid in pids:
        # It may be gone already, or have changed its user; then the kernel will not let us and nothing can be done.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def adopt_orphans() -> bool:
    """Make this process the parent of every orphan below it (a subreaper); False where the kernel cannot."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Called in a fresh child: be killed when ``parent`` ends, also when it ended before this call."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> bool:
    try:
        import ctypes  # not part of every interpreter build

        return ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0
    except (ImportError, OSError, AttributeError):
        return False


def _stat(pid: int) -> list | None:
    """The fields of ``/proc/<pid>/stat`` from the state on (state is 0, parent 1, start time 19)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            text = file.read().decode("ascii", "replace")
    except OSError:
        return None
    # The name in brackets may hold spaces and brackets of its own: cut at the last one.
    return text[text.rindex(")") + 2 :].split()


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""
