"""How many refusals of somebody unknown are written to the record: so that nobody fills it who is nobody.

Kept in this process's memory; the addresses that were silent for longest are forgotten first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from doubleloop.base import clock

# Of one address, and of all together: an attacker may have many addresses.
MOST_OF_ADDRESS = 30
MOST = 300
WITHIN = timedelta(minutes=1)
REMEMBERED = 10_000
_ALL = ""


@dataclass
class _Window:
    begins: datetime
    refused: int = 0


@dataclass(frozen=True)
class Entry:
    """What the record is to say of a refusal. ``silent_until``: no more are entries until then; ``left_out``: that many
    were none in the last time like that."""

    silent_until: datetime | None = None
    left_out: int = 0

    def to_dict(self) -> dict[str, str | int]:
        """As the entry has it; nothing when there is nothing to say."""
        until = {"silent_until": clock.iso(self.silent_until)} if self.silent_until else {}
        return {**until, **({"left_out": self.left_out} if self.left_out else {})}


class Strangers:
    def __init__(self) -> None:
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def refused(self, address: str, now: datetime) -> Entry | None:
        """Count one; None when it is not to be an entry of its own."""
        with self._lock:
            entries = [self._count(_ALL, MOST, now), self._count(address or "unknown", MOST_OF_ADDRESS, now)]
            while len(self._windows) > REMEMBERED:
                self._windows.popitem(last=False)
        if any(each is None for each in entries):
            return None
        found = [each for each in entries if each is not None]
        silent = [each.silent_until for each in found if each.silent_until]
        return Entry(max(silent, default=None), max(each.left_out for each in found))

    def _count(self, key: str, most: int, now: datetime) -> Entry | None:
        window, left_out = self._windows.pop(key, None), 0
        if window is None or now - window.begins >= WITHIN:
            left_out = max(window.refused - most, 0) if window else 0
            window = _Window(now)
        self._windows[key] = window
        window.refused += 1
        if window.refused > most:
            return None
        return Entry(window.begins + WITHIN if window.refused == most else None, left_out)
