"""Whether anything has been written since one last looked: a hundredth of the cost of asking what it was."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy as sa


class Changes:
    """For one thread that looks at the database again and again: on SQLite, whether another connection has committed
    (``PRAGMA data_version``); on Postgres, whether anything was written (``pg_current_wal_insert_lsn()``, which moves
    with every change of the server, so that it says yes too often at worst). Elsewhere every look is due.

    ``due`` also after ``seconds``: for what falls due with time alone. ``within`` says it anew.
    """

    def __init__(self, engine: sa.Engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._sqlite: sqlite3.Connection | None = None
        self._postgres: sa.Connection | None = None
        self._seen: Any = None
        self._looked: float | None = None

    def due(self) -> bool:
        """Ask before looking: what is written meanwhile is found at the next look."""
        seen, now = self._now(), time.monotonic()
        over = self._looked is None or now - self._looked >= self._seconds
        if seen is not None and seen == self._seen and not over:
            return False
        self._seen, self._looked = seen, now
        return True

    def within(self, seconds: float) -> None:
        """The next look is due that long after the last one at the latest."""
        self._seconds = seconds

    def again(self) -> None:
        """The next look is due, whatever happens: this one did not come to an end, or there was something to do."""
        self._looked = None

    def close(self) -> None:
        for connection in (self._sqlite, self._postgres):
            if connection is not None:
                connection.close()
        self._sqlite = self._postgres = None

    def _now(self) -> Any:
        """What is another after each write; None when that cannot be told."""
        look = {"sqlite": self._data_version, "postgresql": self._position}.get(self._engine.dialect.name)
        try:
            return look() if look is not None else None
        except (sqlite3.Error, sa.exc.SQLAlchemyError):  # locked, or gone for a moment: asking is safe
            self._drop()
            return None

    def _data_version(self) -> int:
        if self._sqlite is None:
            self._sqlite = sqlite3.connect(str(self._engine.url.database), check_same_thread=False)
        return int(self._sqlite.execute("PRAGMA data_version").fetchone()[0])

    def _position(self) -> str:
        if self._postgres is None:
            self._postgres = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return str(self._postgres.exec_driver_sql("SELECT pg_current_wal_insert_lsn()").scalar_one())

    def _drop(self) -> None:
        if self._postgres is not None:
            self._postgres.invalidate()
        self.close()
