"""Who keeps the values, and who keeps the keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from doubleloop.vault.model import Place

# The kind of a safe that keeps nothing anywhere but in the database's row.
IN_THE_ROW = "sealed"


class Safe(Protocol):
    """Keeps values. What ``keep`` returns is written to the database: it must tell nothing of the value.

    Every call may raise Unavailable (trying again may help) and Failed (it will not).
    """

    kind: str  # remembered with each value, so that a value kept elsewhere is told apart from a broken one

    def keep(self, place: Place, value: str) -> str: ...

    def open(self, place: Place, kept: str) -> str: ...

    def renew(self, place: Place, kept: str) -> str:
        """The same value under the newest key; what was kept before when there is nothing to renew."""
        ...

    def destroy(self, place: Place, kept: Iterable[str]) -> None:
        """Nobody can open these any more. Doing it twice is harmless."""
        ...


class Keys(Protocol):
    """Keeps the keys that other keys are locked with: a file, the environment, or a key management service.

    Raises Unavailable and Failed.
    """

    def wrap(self, key: bytes) -> str: ...

    def unwrap(self, wrapped: str) -> bytes: ...
