"""A first look at a table in a process of its own: the process that answers requests neither waits for it nor holds
the table, and a look that nobody waits for any more is ended.

``python -m doubleloop.data.looking`` reads its orders from standard input (``{"paths", "target", "most_cells",
"most_bytes"}``, the second path is what to compare with) and writes lines of JSON: ``{"progress": "text"}``, at last
``{"result"}`` or ``{"error"}``.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from doubleloop.base import errors, priority
from doubleloop.frames import reading as frames
from doubleloop.statistics import exploring

LOOK_S = 0.2
NICE = 5
Progress = Callable[[str], None]


def quiet(_text: str) -> None:
    """Progress that nobody hears of."""


def look(
    paths: Sequence[Path], target: str | None, most_cells: int, most_bytes: int, progress: Progress = quiet
) -> dict[str, Any]:
    """``{"rows_in_all", **exploring.explore, "comparison"?}`` of the first path. Raises InvalidInput."""
    progress(f"reading {paths[0].name}")
    table, rows = frames.bounded(paths[0], most_cells, most_bytes)
    progress(f"looking at {table.height:,} rows of {table.width} columns")
    told: dict[str, Any] = {"rows_in_all": rows, **exploring.explore(table, target)}
    for other in paths[1:]:
        progress(f"comparing with {other.name}")
        told["comparison"] = exploring.compare(frames.bounded(other, most_cells, most_bytes)[0], table)
    return told


def look_apart(
    paths: Sequence[Path], target: str | None, most_cells: int, most_bytes: int, progress: Progress,
    stop: threading.Event,
) -> dict[str, Any]:  # fmt: skip
    """As ``look``, in a process of its own, which is killed when ``stop`` is set. Raises Unavailable then, and when it
    came to no end (too little memory)."""
    orders = {
        "paths": [str(path) for path in paths], "target": target, "most_cells": most_cells, "most_bytes": most_bytes,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "doubleloop.data.looking"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(orders).encode())
        process.stdin.close()
        for line in _lines(process, stop):
            if "result" in line:
                return dict(line["result"])
            if "error" in line:
                raise errors.from_dict(line)
            progress(line["progress"])
        if not stop.is_set():
            process.wait()  # it has closed its output: it ends, and says how
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if stop.is_set():
        raise errors.Unavailable("The look at the table was ended: nobody waits for it")
    raise errors.Unavailable(f"The look at the table came to no end (exit code {process.returncode})")


def _lines(process: subprocess.Popen[bytes], stop: threading.Event) -> Iterator[dict[str, Any]]:
    """What the process says, until it ends or is to stop."""
    assert process.stdout is not None
    held = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while not stop.is_set():
            if not waiting.select(LOOK_S):
                continue
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return
            *whole, held = (held + piece).split(b"\n")
            for line in whole:
                if stop.is_set():
                    return
                yield json.loads(line)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    priority.lower(NICE)
    orders = json.loads(sys.stdin.read())
    paths = [Path(each) for each in orders.pop("paths")]
    try:
        _say({"result": look(paths, **orders, progress=lambda text: _say({"progress": text}))})
    except errors.DoubleloopError as error:
        _say(error.to_dict())


if __name__ == "__main__":
    main()
