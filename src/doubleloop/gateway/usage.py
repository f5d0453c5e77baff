"""What a process of this machine uses, from ``/proc``; nothing where there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """``memory`` is resident, in bytes; ``cpu`` the seconds since the process began."""

    memory: int = 0
    cpu: float = 0.0


def of(pid: int | None) -> Usage:
    """Nothing for a process that is gone."""
    if pid is None:
        return Usage()
    try:
        # The name of the command stands in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return Usage()
    return Usage(int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICKS)
