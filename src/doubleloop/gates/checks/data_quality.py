"""data_quality: whether a table keeps its contract (``frames.contracts`` reads and measures it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import verdicts
from doubleloop.frames import contracts


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """Passed when nothing violates the contract; each reason names column, rule, count and the first example."""
    violations = measurements["violations"]
    if not violations:
        return verdicts.passed(f"{measurements['rows']} rows keep the contract")
    return verdicts.failed(*contracts.reasons(violations))
