"""Which rows are held out: whole groups, so that what was learnt by heart is not taken for skill."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ..shared.problems import BadData


def held_out(keys: Sequence[str], share: float, seed: int = 0) -> list[bool]:
    """Whether each row is held out. Rows with one key stay together, and a key's side depends on key and seed alone, so
    a row keeps its side when others come or go.

    Raises BadData for a share outside 0 to 1 and where one side would be empty.
    """
    if not 0 < share < 1:
        raise BadData(f"test_size is {share}; give a share between 0 and 1, such as 0.2")
    found = [_place(key, seed) < share for key in keys]
    if len(set(keys)) < 2:
        raise BadData(f"all {len(keys)} rows are one text or group, so none can be held out; give more, or a test set")
    if all(found) or not any(found):
        chosen = min(keys, key=lambda key: _place(key, seed)) if not any(found) else None
        spared = max(keys, key=lambda key: _place(key, seed))
        found = [key == chosen if chosen is not None else key != spared for key in keys]
    return found


def _place(key: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
