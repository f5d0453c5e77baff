"""Engines for SQLite (WAL) and Postgres, set so that many processes can share one database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from doubleloop.base import errors

BUSY_TIMEOUT_MS = 30_000
READ_ONLY = "doubleloop_read_only"


def create(url: str) -> sa.Engine:
    """An engine for ``url``. SQLite takes its write lock at BEGIN, so a transaction never fails half-way for it.

    Raises InvalidInput for a URL whose driver is not installed.
    """
    try:
        engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise errors.InvalidInput(
            f"The database URL cannot be used: {error}",
            cure="Use sqlite:////path/file or postgresql+psycopg://…; the latter needs doubleloop[postgres].",
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def looking(engine: sa.Engine) -> dict[str, Any]:
    """Options of a connection that only looks: on Postgres, too, all it sees is of one moment."""
    snapshot = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    return {READ_ONLY: True, **snapshot}


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _on_sqlite_begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    # FULL: a decision that was answered must be there after a power cut too.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    deferred = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN DEFERRED" if deferred else "BEGIN IMMEDIATE")
