"""Agreement of people, held against scikit-learn and Krippendorff's own examples."""

from __future__ import annotations

import numpy as np
import pytest
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
