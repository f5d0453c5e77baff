"""``python -m doubleloop.main up|api|worker``: the entry of each process, which imports no other's."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

from doubleloop.base import errors, garbage, logs
from doubleloop.settings import model

ENTRIES = {"up": "starting.up", "api": "server.run", "worker": "worker.run"}


def entry(name: str) -> Callable[[model.Settings], Any]:
    """What a process runs."""
    module, function = ENTRIES[name].split(".")
    with garbage.kept():
        return getattr(importlib.import_module(f"doubleloop.main.{module}"), function)


def main() -> int:
    logs.to_stderr()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if len(sys.argv) != 2 or sys.argv[1] not in ENTRIES:
        sys.stderr.write(f"usage: python -m doubleloop.main {'|'.join(ENTRIES)}\n")
        return 2
    try:
        entry(sys.argv[1])(model.load())
    except errors.DoubleloopError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
