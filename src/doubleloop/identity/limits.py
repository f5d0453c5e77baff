"""How often a password may be wrong before the next try has to wait: for one name from one address, for one name from
anywhere, and from one address for whatever names. Kept in this process's memory; the oldest are forgotten first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from doubleloop.base import errors

TRIES = 5
# Wider than TRIES, as others at the same address, or somebody who guesses elsewhere, are not to lock a person out soon.
TRIES_OF_NAME = 25
TRIES_OF_ADDRESS = 50
WITHIN = timedelta(minutes=5)
REMEMBERED = 10_000

Key = tuple[str | None, str | None]


class Limiter:
    def __init__(self) -> None:
        self._failures: OrderedDict[Key, list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, name: str, address: str, now: datetime) -> timedelta | None:
        """How long until the next try, or None."""
        with self._lock:
            pauses = [self._pause(key, most, now) for key, most in _keys(name, address)]
        return max((each for each in pauses if each is not None), default=None)

    def _pause(self, key: Key, most: int, now: datetime) -> timedelta | None:
        recent = [each for each in self._failures.get(key, []) if now - each < WITHIN]
        return recent[-most] + WITHIN - now if len(recent) >= most else None

    def failed(self, name: str, address: str, now: datetime) -> None:
        with self._lock:
            for key, most in _keys(name, address):
                recent = [each for each in self._failures.pop(key, []) if now - each < WITHIN]
                self._failures[key] = [*recent, now][-most:]
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def forget(self, name: str, address: str) -> None:
        """After a good login. What was tried for other names from the address still counts."""
        with self._lock:
            self._failures.pop((name, address), None)
            self._failures.pop((name, None), None)

    @contextmanager
    def counting(self, name: str, address: str, now: datetime) -> Iterator[None]:
        """Around the check of a password. Raises TooManyTries instead of letting it begin."""
        pause = self.wait(name, address, now)
        if pause is not None:
            raise errors.TooManyTries(int(pause.total_seconds()) + 1)
        try:
            yield
        except errors.NotAuthenticated:
            self.failed(name, address, now)
            raise
        self.forget(name, address)


def _keys(name: str, address: str) -> tuple[tuple[Key, int], ...]:
    return ((name, address), TRIES), ((name, None), TRIES_OF_NAME), ((None, address), TRIES_OF_ADDRESS)
