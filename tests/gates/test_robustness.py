"""The robustness check: every slice keeps the limits, or is named."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from doubleloop.base import errors, verdicts
from doubleloop.gates.checks import model_quality, robustness

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


def test_masks_are_judged_by_their_class_numbers() -> None:
    """By hand: each class has 2 of 4 pixels in common, and of 6 pixels 4 are right."""

    def png(rows: list[list[int]], palette: bool = False) -> bytes:
        file, image = io.BytesIO(), Image.fromarray(np.array(rows, dtype=np.uint8))
        if palette:
            image.putpalette([200, 0, 0, 0, 200, 0])
        image.save(file, "PNG")
        return file.getvalue()

    truth = [png([[0, 0, 0], [1, 1, 1]], palette=True)]
    said = [base64.b64encode(png([[0, 0, 1], [0, 1, 1]])).decode()]
    assert model_quality.score("miou", truth, said) == pytest.approx(0.5)
    assert model_quality.score("pixel_accuracy", truth, said) == pytest.approx(4 / 6)
    assert model_quality.greater_is_better("miou")
    for broken, why in ((None, "there is no predicted mask"), (b"x", "the predicted mask: the mask cannot be read")):
        with pytest.raises(errors.InvalidInput, match=f"row 1: {why}"):
            model_quality.score("miou", truth, [broken])
