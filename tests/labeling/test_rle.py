"""COCO's run-length masks, and the outlines of what they cover. Golden values: pycocotools 2.0.11."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from doubleloop.base import errors
from doubleloop.labeling import rle
from doubleloop.recipes.shared import problems
from doubleloop.recipes.vision import rle as of_recipes

# A frame with a hole, a pixel at its corner, a bar.
DRAWN = [
    "............",
    "..#####.....",
    "..#..##.....",
    "..#..##.....",
    "..#####.....",
    ".......#....",
    "........####",
    "........####",
    "............",
]
SMALL = {"size": [9, 12], "counts": "c045MM030M033004M01N00000J"}
RUNS = [19, 4, 5, 1, 2, 1, 5, 1, 2, 1, 5, 4, 5, 4, 9, 1, 9, 2, 7, 2, 7, 2, 7, 2, 1]
# A disc of radius 60 around (70, 90) of a picture of 150 x 200, without a disc of radius 15 around (60, 100).
RING = {"size": [200, 150], "counts": (
    "XW2e0^5:H6J6K4K6K4M2M4L4M2N2M4M2N2N2N2N2N2N2N2N2N2O0O2N2N2O0O2O0O2N2O0O2OcNVM\\Oj2?`M\\O_2c0eM\\OZ2b0jM\\OU2d0mM\\OR2c"
    "0PN\\OP2c0RN\\Om1e0SN\\Ol1c0VN\\Oj1d0VN\\Oi1d0YN\\Of1d0ZN\\Of1d0ZN\\Of1d0ZN\\Of1d0ZN\\Oe1d0]N\\Ob1e0\\N\\Od1d0\\N\\Od1"
    "d0\\N\\Od1d0\\N\\Od1d0\\N\\Od1e0ZN\\Of1d0ZN\\Of1e0XN\\Oh1d0XN\\Oh1e0VN\\Oj1e0TN\\Ol1e0RN\\On1f0nM\\OR2f0jM\\OV2i0`M"
    "\\O`2V2000000001N100000001N10001N10001N101N10001N101N2N101N101N2N2N101N2N2N2N2N2N2N2N2N2N3L3N2N3L4L3N3L5J5L5J6J8Fej3"
)}  # fmt: skip


def area(outline: list[list[float]]) -> float:
    x, y = np.array(outline).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def painted(outline: list[list[float]], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The pixels whose middle lies inside, by a ray to the right."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(outline, outline[1:] + outline[:1], strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def test_masks_are_unpacked_as_pycocotools_packed_them() -> None:
    expected = np.array([[sign == "#" for sign in line] for line in DRAWN])
    for counts in (SMALL["counts"], RUNS):
        np.testing.assert_array_equal(rle.mask({**SMALL, "counts": counts}), expected)
        np.testing.assert_array_equal(of_recipes.mask({**SMALL, "counts": counts}, "here", (9, 12)), expected)
    y, x = np.mgrid[:200, :150]
    ring = ((x - 70) ** 2 + (y - 90) ** 2 < 60**2) & ((x - 60) ** 2 + (y - 100) ** 2 > 15**2)
    np.testing.assert_array_equal(rle.mask(RING), ring)


@pytest.mark.parametrize("told, pixels, box", [(SMALL, 25, [2, 1, 10, 7]), (RING, 10568, [11, 31, 119, 119])])
def test_outlines_hold_what_the_mask_covers(told: dict[str, Any], pixels: int, box: list[int]) -> None:
    found = rle.outlines(rle.mask(told))
    assert sum(map(area, found)) == pixels
    corners = np.array([corner for outline in found for corner in outline])
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert [*low, *(high - low)] == box
    np.testing.assert_array_equal(
        np.sum([painted(each, rle.mask(told).shape) for each in found], axis=0), rle.mask(told)
    )


def test_any_mask_has_outlines_that_cover_it() -> None:
    chance = np.random.default_rng(0)
    for density in (0.1, 0.5, 0.9, 1.0):
        for _ in range(15):
            covered = chance.random(tuple(chance.integers(1, 14, 2))) < density
            found = rle.outlines(covered)
            parts = np.sum([painted(each, covered.shape) for each in found], axis=0) if found else covered
            np.testing.assert_array_equal(parts, covered)
            assert sum(map(area, found)) == covered.sum()


def test_noise_is_refused_and_a_sieve_is_not() -> None:
    with pytest.raises(errors.InvalidInput, match="The mask has edges of"):
        rle.outlines(np.random.default_rng(0).random((900, 900)) < 0.5)
    fine = np.ones((150, 150), dtype=bool)
    fine[1:-1:3, 1:-1:3] = False
    with pytest.raises(errors.InvalidInput, match="2500 holes, and no shapes"):
        rle.outlines(fine)
    sieve = np.ones((300, 300), dtype=bool)
    sieve[5:-5:10, 5:-5:10] = False
    (outline,) = rle.outlines(sieve)
    assert area(outline) == sieve.sum()


@pytest.mark.parametrize("told, why", [
    ({"counts": [1]}, "size of a mask is"), ({"size": [2, "3"], "counts": [6]}, "size of a mask is"),
    ({"size": [99_999, 99_999], "counts": [1]}, "too large"), ({"size": [2, 3], "counts": [7]}, "cover 7 pixels"),
    ({"size": [2, 3], "counts": [7, -1]}, "whole numbers"), ({"size": [2, 3], "counts": {}}, "whole numbers"),
    ({"size": [2, 3], "counts": "6!"}, "'!' does not belong"), ({"size": [2, 3], "counts": "6é"}, "does not belong"),
    ({"size": [2, 3], "counts": "P"}, "middle of a number"), ({"size": [2, 3], "counts": "o" * 9}, "does not belong"),
])  # fmt: skip
def test_a_broken_mask_is_refused(told: dict[str, Any], why: str) -> None:
    with pytest.raises(errors.InvalidInput, match=why):
        rle.mask(told)
    why = "mask is of size|an image" if "size" in why or "large" in why else why
    with pytest.raises(problems.BadData, match=why):
        of_recipes.mask(told, "here", (2, 3))
