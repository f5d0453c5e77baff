"""What can be a folder's list of files: pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from doubleloop.base import errors
from doubleloop.storage.ports import Entry

# Linux refuses longer names, in bytes.
LONGEST_NAME = 255
LONGEST_PATH = 4000


def check_entries(entries: Sequence[Entry]) -> None:
    """Raise InvalidInput, naming the path, unless these files can lie in one folder, each under its own path."""
    for entry in entries:
        if not (isinstance(entry.path, str) and isinstance(entry.sha256, str) and type(entry.size) is int
                and type(entry.executable) is bool and entry.size >= 0):  # fmt: skip
            raise errors.InvalidInput("An entry is [path, sha256, size, executable]")
        check_path(entry.path)
    files = {entry.path for entry in entries}
    if len(files) != len(entries):
        twice = next(each for each in files if [entry.path for entry in entries].count(each) > 1)
        raise errors.InvalidInput(f"'{twice}' is in the folder twice")
    for path in files:
        inside = next((str(each) for each in PurePosixPath(path).parents if str(each) in files), None)
        if inside:
            raise errors.InvalidInput(f"'{inside}' is a file, so that '{path}' cannot be inside of it")


def check_path(path: str) -> None:
    """Raise InvalidInput for a path that leads elsewhere, is written in another way than it is, or is too long."""
    pure = PurePosixPath(path)
    plain = pure.parts and str(pure) == path and not pure.is_absolute() and ".." not in pure.parts
    if not plain or "\\" in path or "\0" in path:
        raise errors.InvalidInput(f"'{path[:200]}' cannot be a path inside a folder")
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in pure.parts):
        raise errors.InvalidInput(f"'{path[:80]}…' is too long for a path")
