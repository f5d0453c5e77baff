"""What every contender's script does: import, then work once between two readings of the processor's clock.

Standard library only, since it runs in the environments of the peers. The last line printed is one JSON object.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping

NUMERICAL = ("normal", "exponential", "amount", "holes", "number")
CATEGORICAL = ("count", "hour", "member", "text")


def kind(column: str) -> str:
    return "numerical" if column.startswith(NUMERICAL) else "categorical"


Values = Mapping[str, float]


def main(tasks: Mapping[str, Callable[..., Values | Callable[[], Values]]]) -> None:
    """``script.py TASK ARGUMENTS…``; a task gives values by ``metric:column``, or nothing to compare. One that has to
    get something ready first gives back the work itself, and only that is measured."""
    task, arguments = tasks[sys.argv[1]], sys.argv[2:]
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    values = task(*arguments)
    if callable(values):
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        values = values()
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": after.ru_maxrss * 1024 / 1e6, "values": known}))
