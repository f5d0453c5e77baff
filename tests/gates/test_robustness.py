"""The robustness check: every slice keeps the limits, or is named."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.base import verdicts
from doubleloop.gates.checks import robustness

SLICES = [
    {"slice": "all", "rows": 300, "value": 0.95}, {"slice": "brightness dark", "rows": 100, "value": 0.9},
    {"slice": "noise 3", "rows": 300, "value": 0.7}, {"slice": "blur 3", "rows": 20, "value": 0.1},
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "outcome", "said"),
    [
        ({"at_least": 0.6}, "passed", "accuracy is 0.95, and 0.7 at the worst (noise 3, 3 slices)"),
        ({"at_least": 0.8}, "failed", "accuracy of noise 3 is 0.7, must be at least 0.8"),
        ({"at_most_loss": 0.3}, "passed", "0.7 at the worst"),
        (
            {"at_most_loss": 0.2},
            "failed",
            "accuracy of noise 3 is 0.7, and 0.95 of the whole hold-out: it may lose 20.00%",
        ),
        ({"at_least": 0.6, "min_rows": 10}, "failed", "accuracy of blur 3 is 0.1"),
        ({"at_least": 0.6, "min_rows": 1000}, "not_checked", "rows enough"),
        ({"metric": "mae", "at_most": 0.5}, "failed", "mae of all is 0.95, must be at most 0.5"),
    ],
)
def test_it_is_judged_by_its_slices(check: dict[str, Any], outcome: str, said: str) -> None:
    verdict = robustness.judge({"metric": "accuracy", **check}, {"slices": SLICES})
    assert verdict.outcome == verdicts.Outcome(outcome) and said in " ".join(verdict.reasons), verdict


def test_a_candidate_that_does_not_answer_fails() -> None:
    verdict = robustness.judge({"metric": "accuracy", "at_least": 0.1}, {"slices": [], "error": "it broke"})
    assert verdict.outcome == verdicts.Outcome("failed") and "it broke" in verdict.reasons[0]
