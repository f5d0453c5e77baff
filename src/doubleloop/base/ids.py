"""Identifiers: sortable by creation time, safe in URLs, file names and log lines."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_id(prefix: str = "") -> str:
    """A new identifier: 48 bits of milliseconds and 50 random bits, as 20 characters after ``prefix-``."""
    body = _encode(time.time_ns() // 1_000_000, 10) + _encode(secrets.randbits(50), 10)
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
