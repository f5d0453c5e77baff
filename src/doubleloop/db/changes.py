"""Whether anything has been written since one last looked: a hundredth of the cost of asking what it was."""

from __future__ import annotations

import select
import sqlite3
import time
from typing import Any

import sqlalchemy as sa

CHANNEL = "doubleloop_written"


def announce(tx: sa.Connection) -> None:
    """Whoever listens looks again when this transaction is committed. SQLite tells it by itself."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}', '')")


class Changes:
    """For one thread that looks at the database again and again: on SQLite, whether another connection has committed
    (``PRAGMA data_version``); on Postgres, whether a transaction that called ``announce`` has (``LISTEN``), as those do
    that write facts and intents. Elsewhere every look is due.

    ``due`` also after ``seconds``: for what falls due with time alone. ``within`` says it anew.
    """

    def __init__(self, engine: sa.Engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._sqlite: sqlite3.Connection | None = None
        self._postgres: sa.Connection | None = None
        self._heard = 0
        self._seen: int | None = None
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
        if self._sqlite is not None:
            self._sqlite.close()
        if self._postgres is not None:
            self._postgres.invalidate()  # nobody else is to have one that listens
            self._postgres.close()
        self._sqlite = self._postgres = None

    def _now(self) -> int | None:
        """What is another after each write; None when that cannot be told."""
        look = {"sqlite": self._data_version, "postgresql": self._announced}.get(self._engine.dialect.name)
        driver = self._engine.dialect.loaded_dbapi.Error if look is not None else sqlite3.Error
        try:
            return look() if look is not None else None
        except (sqlite3.Error, driver, sa.exc.SQLAlchemyError):  # locked, or gone for a moment: asking is safe
            self.close()
            return None

    def _data_version(self) -> int:
        if self._sqlite is None:
            self._sqlite = sqlite3.connect(str(self._engine.url.database), check_same_thread=False)
        return int(self._sqlite.execute("PRAGMA data_version").fetchone()[0])

    def _announced(self) -> int:
        """How often something was heard; nothing is asked of the server."""
        if self._postgres is None:
            self._postgres = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._postgres.exec_driver_sql(f"LISTEN {CHANNEL}")
            self._heard += 1  # what was written before is found by a look
        raw: Any = self._postgres.connection.driver_connection
        if select.select([raw.fileno()], [], [], 0)[0] and list(raw.notifies(timeout=0)):
            self._heard += 1
        return self._heard
