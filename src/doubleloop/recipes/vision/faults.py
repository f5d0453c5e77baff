"""Data that cannot be trained on: one sentence that says what is wrong, where, and how to mend it."""

from __future__ import annotations

from ..shared import problems


class BadData(problems.BadData):
    """``where``: the file, and the row of a table (the first is 1)."""

    def __init__(self, what: str, where: str = "", cure: str = "") -> None:
        super().__init__("{}{}{}".format(where and where + ": ", what, cure and ". " + cure))
