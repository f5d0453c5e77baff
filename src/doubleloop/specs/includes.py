"""The requirements files that a conda file names (``-r``, ``-c``), read on the machine where they lie.

They travel with the conda file; what is in them is judged where environments are made.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

MAX_FILES = 100
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+)(?P<path>\S+)")


def read(conda: str | dict[str, Any], folder: Path, text_of: Callable[[Path, str], str]) -> dict[str, str]:
    """Path, as seen from ``folder`` (where the conda file lies), to text, of every file that ``conda`` includes.

    ``text_of(path, written)`` reads one, and raises for a file that is not there. A conda file that is no YAML
    includes nothing: its reader says what is wrong with it.
    """
    found: dict[str, str] = {}
    waiting = [(path, "") for path in _named(_pip_lines(conda))]
    while waiting and len(found) < MAX_FILES:
        written, beside = waiting.pop()
        path = posixpath.normpath(posixpath.join(beside, written))
        if path in found:
            continue
        found[path] = text_of(folder / path, written)
        waiting += [(each, posixpath.dirname(path)) for each in _named(found[path].splitlines())]
    return found


def _named(lines: Any) -> Iterator[str]:
    for line in lines:
        match = _INCLUDE.match(str(line))
        if match:
            yield match["path"]


def _pip_lines(conda: str | dict[str, Any]) -> Iterator[Any]:
    try:
        body = YAML(typ="safe").load(conda) if isinstance(conda, str) else conda
    except YAMLError:
        return
    entries = body.get("dependencies") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        lines = entry.get("pip") if isinstance(entry, dict) else None
        yield from lines if isinstance(lines, list) else ()
