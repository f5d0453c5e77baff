"""Identifiers: sortable by creation time, safe in URLs, file names and log lines."""

from __future__ import annotations

import hashlib
import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")


_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_FETCHED = 512
# Random numbers of 56 bits that nobody has had yet. The system is asked for many at a time: asking costs more than all
# the rest of an identifier. ``pop`` gives each to one thread alone.
_random: list[int] = []
# A forked process must not use what its parent will use.
os.register_at_fork(after_in_child=_random.clear)


def _bits() -> int:
    try:
        return _random.pop()
    except IndexError:
        found = os.urandom(7 * _FETCHED)
        _random.extend(int.from_bytes(found[at : at + 7], "big") for at in range(7, len(found), 7))
        return int.from_bytes(found[:7], "big")


def _encode(number: int) -> str:
    """The lowest 50 bits, as 10 characters."""
    return (
        _PAIRS[number >> 40 & 1023] + _PAIRS[number >> 30 & 1023] + _PAIRS[number >> 20 & 1023]
        + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]
    )  # fmt: skip


def new_id(prefix: str = "") -> str:
    """A new identifier: 48 bits of milliseconds and 50 random bits, as 20 characters after ``prefix-``."""
    body = _encode(time.time_ns() // 1_000_000) + _encode(_bits())
    return f"{prefix}-{body}" if prefix else body


def derived(readable: str, *parts: str) -> str:
    """The one id of what ``parts`` name together: ``readable`` (cut to 60) and a hash of all of them behind it.

    Names may hold dashes and be long, so that joined ones alone can mean two things, or be too long for a name.
    """
    mark = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{readable[:60].rstrip('._-')}-{mark}"


def is_name(text: str) -> bool:
    """Whether ``text`` may name an asset, job, endpoint or release: Azure ML's rule (letters, digits, ._-)."""
    return NAME.match(text) is not None
