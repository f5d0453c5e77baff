"""Agreement of people, held against scikit-learn and Krippendorff's own examples."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.metrics import cohen_kappa_score

from doubleloop.statistics import agreement

# K. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability: examples A, B and C (rows are observers).
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def units(rows: tuple[str, ...]) -> list[list[str]]:
    return [[each for each in column if each != "."] for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(("rows", "published"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)])
def test_alpha_is_that_of_krippendorffs_examples(rows: tuple[str, ...], published: float) -> None:
    assert agreement.krippendorff_alpha(units(rows)) == pytest.approx(published, abs=5e-4)


def test_kappa_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    first = random.choice(list("abc"), 200, p=[0.6, 0.3, 0.1]).tolist()
    second = [each if keep else str(other) for each, keep, other in
              zip(first, random.random(200) < 0.7, random.choice(list("abc"), 200), strict=True)]  # fmt: skip
    assert agreement.cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), rel=1e-12)
    assert agreement.cohen_kappa("ab", "ba") == pytest.approx(cohen_kappa_score(list("ab"), list("ba")))


def test_what_is_not_defined_is_none() -> None:
    assert agreement.cohen_kappa([], []) is None and agreement.cohen_kappa("aa", "aa") is None
    assert agreement.krippendorff_alpha([["a"], []]) is None and agreement.krippendorff_alpha([["a", "a"]]) is None


def test_spans_overlap_by_character_and_label() -> None:
    one = [{"start": 0, "end": 4, "label": "person"}]
    assert agreement.span_overlap(one, [{"start": 2, "end": 6, "label": "person"}]) == pytest.approx(2 / 6)
    assert agreement.span_overlap(one, [{"start": 0, "end": 4, "label": "place"}]) == 0
    assert agreement.span_overlap([], []) == 1


def test_boxes_are_matched_by_label_and_those_alone_count_as_nothing() -> None:
    # Two squares of side 2 that share a quarter: 1 / (4 + 4 - 1).
    assert agreement.box_overlap((0, 0, 2, 2), (1, 1, 2, 2)) == pytest.approx(1 / 7)
    one = [("cat", (0, 0, 2, 2)), ("dog", (9, 9, 1, 1))]
    assert agreement.boxes_overlap(one, [("cat", (0, 0, 2, 2))]) == 0.5
    assert agreement.boxes_overlap(one, [("dog", (0, 0, 2, 2)), ("cat", (9, 9, 1, 1))]) == 0


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


NOTCHED = [[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [20.0, 12.0], [0.0, 40.0]]
KITE = [[18.0, 2.0], [55.0, 21.0], [18.0, 44.0], [7.0, 21.0]]
CROSSED = [[2.0, 2.0], [50.0, 42.0], [50.0, 5.0], [2.0, 38.0]]


def test_outlines_overlap_by_the_area_inside_them_and_not_by_the_boxes_around() -> None:
    # By hand: a quarter of each is shared, 1 of 7; a triangle is half of its square; a notch is outside.
    assert agreement.outline_overlap(square(0, 0, 2), square(1, 1, 2)) == pytest.approx(1 / 7)
    assert agreement.outline_overlap([[0, 0], [4, 0], [0, 4]], square(0, 0, 4)) == pytest.approx(0.5)
    assert agreement.outline_overlap([[0, 0], [4, 0], [0, 4]], [[4, 4], [4, 0], [0, 4]]) == 0
    assert agreement.outline_overlap(NOTCHED, NOTCHED) == agreement.outline_overlap(KITE, KITE[::-1]) == 1
    boxes = [[3.0, 4.0, 10.0, 8.0], [7.5, 2.0, 12.0, 6.0]]
    corners = [[[x, y], [x + w, y], [x + w, y + h], [x, y + h]] for x, y, w, h in boxes]
    assert agreement.outline_overlap(*corners) == pytest.approx(agreement.box_overlap(*boxes))


@pytest.mark.parametrize(
    ("one", "other"), [(NOTCHED, KITE), (CROSSED, KITE), (NOTCHED, CROSSED), (KITE, square(9, 9, 20))]
)
def test_outlines_overlap_as_the_pixels_that_pillow_fills(one: list[list[float]], other: list[list[float]]) -> None:
    masks = []
    for outline in (one, other):
        image = Image.new("1", (60 * 64, 50 * 64))
        ImageDraw.Draw(image).polygon([(x * 64, y * 64) for x, y in outline], fill=1)
        masks.append(np.asarray(image))
    pixels = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert agreement.outline_overlap(one, other) == pytest.approx(pixels, abs=2e-3)
