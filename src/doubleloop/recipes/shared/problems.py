"""How a component says that it was given something that it cannot train on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadData(Exception):
    """What is wrong, where (file, and row or column), and how to mend it, in one sentence. The job ends with 65."""


def missing(what: str, name: str, there: Iterable[object], where: str) -> BadData:
    """``what`` (a column, a label) named ``name`` is not in ``where``; near names are shown, or those there are."""
    known = [str(each) for each in there]
    near = difflib.get_close_matches(name, known, 3)
    shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {shown}"
    return BadData(f"{where} has no {what} '{name}'; {hint}")
