"""Images as numbers; scipy and numpy are the referees."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from doubleloop.base import errors
from doubleloop.statistics import images

GENERATOR = np.random.default_rng(17)
PHOTO = GENERATOR.integers(0, 256, (12, 17, 3), dtype=np.uint8)


def test_light_contrast_and_sharpness_are_those_of_scipy():
    found = images.describe([PHOTO]).row(0, named=True)
    light = PHOTO @ np.array([0.299, 0.587, 0.114])
    assert (found["width"], found["height"]) == (17, 12)
    assert found["brightness"] == pytest.approx(light.mean() / 255)
    assert found["contrast"] == pytest.approx(light.std() / 255)
    assert found["sharpness"] == pytest.approx(ndimage.laplace(light)[1:-1, 1:-1].var())
    assert [found[name] for name in ("red", "green", "blue")] == pytest.approx(PHOTO.mean(axis=(0, 1)) / 255)
    blurred = ndimage.gaussian_filter(PHOTO, (2, 2, 0))
    assert images.describe([blurred])["sharpness"][0] < found["sharpness"] / 10


def test_forms_of_one_image_are_described_alike():
    grey = PHOTO[..., 0]
    forms = [grey, grey[..., None], grey / 255, np.repeat(grey[..., None], 3, axis=2), grey.astype(np.int64)]
    rows = images.describe(forms).rows()
    for row in rows[1:]:
        assert row == pytest.approx(rows[0])
    transparent = np.concatenate([PHOTO, np.zeros((12, 17, 1), np.uint8)], axis=2)
    assert images.describe([transparent]).rows() == images.describe([PHOTO]).rows()
    assert images.describe([np.zeros((2, 2))])["sharpness"][0] == 0.0
    assert images.describe([]).columns == list(images.COLUMNS)


@pytest.mark.parametrize(
    ("image", "words"), [(np.zeros(5), "shape"), (np.full((4, 4), 3.5), "range"), (np.full((4, 4), -1), "range")]
)
def test_what_is_no_image_says_so(image, words):
    with pytest.raises(errors.InvalidInput, match=f"image 1 .*{words}"):
        images.describe([PHOTO, image])
