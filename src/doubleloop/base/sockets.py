"""Unix sockets whose path is longer than the kernel takes."""

from __future__ import annotations

import functools
import os
from pathlib import Path

# `sun_path` of unix(7) has 108 bytes, the last of them NUL.
LONGEST = 107


def address(path: Path) -> str:
    """What to bind or connect to for the socket at ``path``: the path, or a short name of it in this process.

    The short name goes through an open descriptor of the socket's folder (made when it is missing), so it works in
    this process alone, and as long as that folder is the same one.
    """
    if len(os.fsencode(path)) <= LONGEST:
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"/proc/self/fd/{_opened(path.parent, path.parent.stat().st_ino)}/{path.name}"


@functools.cache
def _opened(folder: Path, _inode: int) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
