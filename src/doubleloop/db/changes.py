"""Whether anything has been written since one last looked: a hundredth of the cost of asking what it was."""

from __future__ import annotations

import sqlite3
import time

import sqlalchemy as sa


class Changes:
    """For one thread that looks at the database again and again. On SQLite, whether another connection has committed
    (``PRAGMA data_version``); elsewhere nobody knows without asking, and every look is due.

    ``due`` also after ``seconds``: for what falls due with time alone.
    """

    def __init__(self, engine: sa.Engine, seconds: float) -> None:
        self._path = engine.url.database if engine.dialect.name == "sqlite" else None
        self._seconds = seconds
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._looked: float | None = None

    def due(self) -> bool:
        """Ask before looking: what is written meanwhile is found at the next look."""
        version, now = self._data_version(), time.monotonic()
        over = self._looked is None or now - self._looked >= self._seconds
        if version is not None and version == self._version and not over:
            return False
        self._version, self._looked = version, now
        return True

    def again(self) -> None:
        """The next look is due, whatever happens: this one did not come to an end, or there was something to do."""
        self._looked = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _data_version(self) -> int | None:
        if self._path is None:
            return None
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, check_same_thread=False)
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:  # locked, or gone for a moment: asking is safe
            self.close()
            return None
