"""One way to write a value as bytes, so that equal values have equal hashes on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def dumps(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: the form that is hashed. Raises ValueError, TypeError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(value: Any) -> str:
    """Hex digest of ``bytes``, ``str`` (UTF-8) or, for anything else, of its canonical JSON."""
    if isinstance(value, str):
        value = value.encode()
    elif not isinstance(value, bytes):
        value = dumps(value).encode()
    return hashlib.sha256(value).hexdigest()
