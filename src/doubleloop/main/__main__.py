"""``python -m doubleloop.main up|api|worker``: the entry of each process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from doubleloop.base import errors, logs
from doubleloop.main import processes, server, worker
from doubleloop.settings import model

ENTRIES: dict[str, Callable[[model.Settings], Any]] = {"up": processes.up, "api": server.run, "worker": worker.run}


def main() -> int:
    logs.to_stderr()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if len(sys.argv) != 2 or sys.argv[1] not in ENTRIES:
        sys.stderr.write(f"usage: python -m doubleloop.main {'|'.join(ENTRIES)}\n")
        return 2
    try:
        ENTRIES[sys.argv[1]](model.load())
    except errors.DoubleloopError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
