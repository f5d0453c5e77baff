"""Databases of tests: real SQLite files; what they have in common is done once.

A test's engine is new, its file is new. Engines share what SQLAlchemy makes of a statement, which is the same for every
file, and a house begins as a copy of a file that was filled once. Nothing in one process outlives a power cut, so no
commit waits for the disk here; tests of processes that are killed open theirs with ``db.engine.create``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from doubleloop.db import changes, engine, tables

_COMPILED: dict[Any, Any] = {}
_FILLED: dict[tuple[Any, ...], bytes] = {}


@cache
def _dialect() -> sa.Dialect:
    """One that has seen a connection; what is compiled is kept by the dialect it was compiled for."""
    first = engine.create("sqlite://")
    with first.connect():
        return first.dialect


def opened(file: Path) -> sa.Engine:
    """``db.engine.create`` for this file."""
    made = engine.create(f"sqlite:///{file}")
    made.dialect = _dialect()
    made.update_execution_options(compiled_cache=_COMPILED)
    sa.event.listen(made, "connect", _on_connect)
    return made


def _on_connect(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def until(db: sa.Engine, is_so: Callable[[], object], seconds: float, told: Callable[[], str] = lambda: "") -> None:
    """Wait for what follows from the database: looked at when something was written, and now and then.

    Raises AssertionError after ``seconds``, with what ``told`` says.
    """
    changed, deadline = changes.Changes(db, 0.25), time.monotonic() + seconds
    try:
        while not (changed.due() and is_so()):
            assert time.monotonic() < deadline, f"not so after {seconds} s\n{told()}"
            time.sleep(0.01)
    finally:
        changed.close()


def filled(file: Path, fill: Callable[[sa.Engine], None]) -> sa.Engine:
    """An engine on ``file``, which has every table that is declared by now, and what ``fill`` writes."""
    key = (fill, *sorted(tables.METADATA.tables))
    if key not in _FILLED:
        with tempfile.TemporaryDirectory() as folder:
            made = opened(Path(folder) / "filled.sqlite")
            tables.METADATA.create_all(made)
            fill(made)
            made.dispose()
            _FILLED[key] = (Path(folder) / "filled.sqlite").read_bytes()
    file.write_bytes(_FILLED[key])
    return opened(file)
