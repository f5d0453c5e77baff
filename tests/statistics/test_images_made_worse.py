"""Corruptions as the catalog's components make them; metrics of masks as torchmetrics has them."""

from __future__ import annotations

import numpy as np
import pytest

from doubleloop.base import errors
from doubleloop.recipes.vision import corruptions as components
from doubleloop.recipes.vision import measures
from doubleloop.statistics import corruptions, masks


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_the_server_corrupts_as_the_components_do(kind: str, channels: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (24, 20, channels), dtype=np.uint8)
    for severity in corruptions.SEVERITIES:
        ours = corruptions.corrupted(image, kind, severity, np.random.default_rng(0))
        theirs = components.corrupted(image[None], kind, severity, 0)[0]
        np.testing.assert_array_equal(ours, theirs)


def test_a_grey_image_needs_no_channel_and_another_kind_is_refused() -> None:
    image = np.random.default_rng(3).integers(0, 256, (12, 9), dtype=np.uint8)
    for kind in corruptions.KINDS:
        flat = corruptions.corrupted(image, kind, 2, np.random.default_rng(0))
        deep = corruptions.corrupted(image[..., None], kind, 2, np.random.default_rng(0))
        np.testing.assert_array_equal(flat, deep[..., 0])
    with pytest.raises(errors.InvalidInput, match="no corruption 'fog' of severity 2"):
        corruptions.corrupted(image, "fog", 2, np.random.default_rng(0))


def test_masks_are_measured_as_torchmetrics_does() -> None:
    """Golden values: torchmetrics 1.9.0 (MulticlassJaccardIndex, MulticlassAccuracy with ignore_index 255)."""
    dice = np.random.default_rng(7)
    truth = dice.integers(0, 4, (6, 8, 8))
    said = np.where(dice.random((6, 8, 8)) < 0.6, truth, dice.integers(0, 4, (6, 8, 8)))
    truth[0, :2] = masks.IGNORED
    one, two = list(truth.astype(np.uint8)), list(said.astype(np.uint8))
    assert masks.miou(one, two) == pytest.approx(0.52952796)
    assert masks.pixel_accuracy(one, two) == pytest.approx(0.69293481)
    counts = measures.confusion(truth, said, 4)
    assert masks.miou(one, two) == pytest.approx(measures.segmentation(counts)["miou"])
    assert masks.miou([np.full((2, 2), 255, np.uint8)], [np.zeros((2, 2), np.uint8)]) == 0
    with pytest.raises(errors.InvalidInput, match=r"row 0: the true mask has shape \(8, 8\)"):
        masks.miou(one[:1], [np.zeros((4, 4), np.uint8)])
