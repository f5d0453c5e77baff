"""Ctrl-C, and a polite kill, that are never lost.

Python raises KeyboardInterrupt wherever the program stands; inside a destructor (an HTTP response that is thrown away)
it is printed and dropped, and a loop would go on for ever. So it is remembered too, and loops ask.
"""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

_pending: BaseException | None = None


def install() -> None:
    """Take over SIGINT and SIGTERM for this process; both unwind the program, so that ``finally`` runs."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _unraisable


def check() -> None:
    """Raise the KeyboardInterrupt or SystemExit that was dropped, if one was."""
    if _pending is not None:
        raise _pending


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    _end(KeyboardInterrupt())


def _terminate(number: int, _frame: Any) -> NoReturn:
    _end(SystemExit(128 + number))


def _end(by: BaseException) -> NoReturn:
    global _pending
    _pending = by
    raise by


def _unraisable(dropped: Any) -> None:
    if dropped.exc_value is not _pending:
        sys.__unraisablehook__(dropped)
