"""How much disk a run takes, and files that are never seen half-written."""

from __future__ import annotations

import json
import os
from typing import Any, Iterable


def usage(paths: Iterable[str]) -> int:
    """Bytes allocated under ``paths``; a file with several names, or below two of the paths, counts once.

    Allocated blocks rather than sizes, so that a sparse file counts for what it takes. Links are not followed.
    """
    total = 0
    seen: set = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if (info.st_dev, info.st_ino) in seen:
            continue
        seen.add((info.st_dev, info.st_ino))
        total += info.st_blocks * 512
        if (info.st_mode & 0o170000) == 0o040000:
            waiting.extend(_children(path))
    return total


def inventory(path: str) -> dict:
    """What a declared output became: ``{"kind": "file" | "folder" | "missing", "files": n, "bytes": n}``."""
    if os.path.isdir(path):
        files = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
        return {"kind": "folder", "files": len(files), "bytes": sum(_size(file) for file in files)}
    if os.path.exists(path):
        return {"kind": "file", "files": 1, "bytes": _size(path)}
    return {"kind": "missing", "files": 0, "bytes": 0}


def write_json(path: str, value: Any, mode: int = 0o644) -> None:
    """Write all of it or nothing, and let it outlast a power cut."""
    part = "%s.%s.part" % (path, os.urandom(8).hex())
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _children(folder: str) -> list:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except OSError:
        return []  # vanished or closed to us between two looks


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
