"""Whether a stored fact is, to the byte, the one that was written: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doubleloop.base import canonical, clock
from doubleloop.events import model


def holds(row: Mapping[str, Any], previous: str) -> bool:
    """``row``: the columns of the table, ``at`` and ``data`` as the text they are; ``previous``: the seal before.

    Text that means the same and is written otherwise (a space in the data, another form of the time) does not hold.
    """
    try:
        data, at = json.loads(row["data"]), clock.parse(row["at"])
        exact = canonical.dumps(data) == row["data"] and clock.iso(at) == row["at"]
        seal = model.seal(
            previous, row["seq"], row["type"], row["workspace"], row["subject"], row["actor"], at, data
        )  # fmt: skip
    except (ValueError, TypeError, AttributeError, KeyError):
        return False
    return exact and row["previous"] == previous and row["hash"] == seal
