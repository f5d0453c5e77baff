"""Where in a person's program something was said, for errors that name it."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from functools import lru_cache

Line = tuple[str, int]
"""File and line (from 1) of a program."""

_OWN = __name__.rpartition(".")[0]
NOWHERE: Line = ("<python>", 0)


def here() -> Line:
    """The innermost line that is not of this package. A notebook's cell has the file that its kernel gives it."""
    frame = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith(_OWN):
            return frame.f_code.co_filename, frame.f_lineno
        if frame.f_back is None:
            break
        frame = frame.f_back
    return NOWHERE


def shown(file: str) -> str:
    """The file as a person would write it: from the folder that they are in, when it is below it."""
    if not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith(os.pardir) else relative


def argument(line: Line, name: str) -> int:
    """The line of the argument (or key) ``name`` of a call that begins at ``line``; the call's own when it has none."""
    file, number = line
    if not number or os.path.splitext(file)[1] in (".yml", ".yaml"):
        return number
    return _arguments("".join(linecache.getlines(file))).get((number, name), number)


@lru_cache(maxsize=32)
def _arguments(text: str) -> dict[tuple[int, str], int]:
    """The line of each argument, by the line that its call begins at; of keys of dictionaries in a call too."""
    found: dict[tuple[int, str], int] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a notebook's cell with commands of its kernel
        return found
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or call.end_lineno == call.lineno:
            continue
        for each in ast.walk(call):
            if isinstance(each, ast.keyword) and each.arg is not None:
                found.setdefault((call.lineno, each.arg), each.lineno)
            elif isinstance(each, ast.Dict):
                for key in each.keys:
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        found.setdefault((call.lineno, key.value), key.lineno)
    return found
