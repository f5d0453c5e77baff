"""Work that may be late gives way to work that may not."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_GROUP = Path("/proc/self/autogroup")


def lower(nice: int) -> None:
    """This process gives way to others by ``nice`` (1 to 19).

    Linux lets sessions share the processor evenly where its autogroups are on (as on desktops, and by default in many
    distributions): what is nice is so to its own session alone. A process that leads a session makes that as nice.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # there are no such groups here
            _GROUP.write_text(str(nice))
