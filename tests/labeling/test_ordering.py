"""Which rows come first: against scipy's entropy, and against the definitions."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from scipy import spatial, stats
from sklearn import neighbors

from doubleloop.base import errors
from doubleloop.labeling import ordering
from doubleloop.specs.kinds.labeling import Queue

TABLE = pl.DataFrame({"a": [0.9, 0.34, 0.5], "b": [0.05, 0.33, 0.5], "c": [0.05, 0.33, 0.0]})
ABC = ["a", "b", "c"]


def test_the_most_uncertain_come_first_by_entropy_or_margin() -> None:
    found = ordering.order(Queue(by="uncertainty", columns=ABC), 3, TABLE, None)
    expected = stats.entropy(TABLE.to_numpy(), axis=1) / np.log(3)
    assert [row for row, _ in found] == [1, 2, 0]
    assert dict(found) == pytest.approx(dict(enumerate(expected)))
    by_margin = ordering.order(Queue(by="uncertainty", columns=ABC, measure="margin"), 3, TABLE, None)
    assert by_margin == [(2, 1.0), (1, pytest.approx(0.99)), (0, pytest.approx(0.15))]


def test_one_column_of_probabilities_is_that_of_two_classes_and_a_column_of_lists_is_a_row_each() -> None:
    table = pl.DataFrame({"p": [0.1, 0.5], "all": [[0.2, 0.8], [1.0, 0.0]], "logged": ["[0.2,0.8]", "[1.0,0.0]"]})
    assert [row for row, _ in ordering.order(Queue(by="uncertainty", columns=["p"]), 2, table, None)] == [1, 0]
    for lists in ("all", "logged"):
        assert [row for row, _ in ordering.order(Queue(by="uncertainty", columns=[lists]), 2, table, None)] == [0, 1]


def test_diversity_takes_each_next_row_far_from_all_before() -> None:
    table = pl.DataFrame({"x": [0.0, 0.1, 10.0, -10.0, 10.1], "y": [0.0] * 5})
    found = [row for row, _ in ordering.order(Queue(by="diversity", columns=["x", "y"]), 5, table, None)]
    assert found[0] == 1 or found[0] == 0
    assert set(found[1:3]) == {3, 4} and sorted(found) == [0, 1, 2, 3, 4]


def test_drift_is_the_distance_from_the_reference() -> None:
    reference = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]})
    queue = Queue(by="drift", columns=["x"], reference="azureml:r:1")
    assert [row for row, _ in ordering.order(queue, 3, pl.DataFrame({"x": [2.0, 50.0, 9.0]}), reference)] == [1, 2, 0]


def test_random_is_the_same_for_the_same_seed() -> None:
    one, two, three = (ordering.order(Queue(by="random", seed=seed), 50, None, None) for seed in (1, 1, 2))
    assert one == two != three and sorted(row for row, _ in one) == list(range(50))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.5, None], "missing or no number"), (["a", "b"], "no numbers"), ([-0.1, 0.5], "below zero"),
        ([2.0, 0.1], "more than 1"),
    ],
)  # fmt: skip
def test_columns_that_hold_no_probabilities_are_refused(values: list[object], says: str) -> None:
    with pytest.raises(errors.InvalidInput, match=says):
        ordering.order(Queue(by="uncertainty", columns=["p"]), 2, pl.DataFrame({"p": values}), None)


def test_diversity_is_k_center_greedy_and_never_twice_as_wide_as_the_best_choice_there_is() -> None:
    rows = np.random.default_rng(4).normal(size=(11, 2)) * [1.0, 30.0]
    table = pl.DataFrame({"x": rows[:, 0], "y": rows[:, 1]})
    scaled = stats.zscore(rows)
    far = spatial.distance.cdist(scaled, scaled)
    greedy = [int(np.argmin((scaled**2).sum(axis=1)))]
    while len(greedy) < 11:
        greedy.append(int(np.argmax(far[:, greedy].min(axis=1))))
    found = ordering.order(Queue(by="diversity", columns=["x", "y"]), 11, table, None)
    assert [row for row, _ in found] == greedy
    assert [score for _, score in found[1:]] == pytest.approx(
        [far[at, greedy[:number]].min() for number, at in enumerate(greedy) if number]
    )
    for count in (2, 3, 4):
        best = min(far[:, list(each)].min(axis=1).max() for each in itertools.combinations(range(11), count))
        assert best <= far[:, greedy[:count]].min(axis=1).max() <= 2 * best  # T. Gonzalez 1985


def test_drift_is_the_mean_distance_of_scikit_learns_five_nearest() -> None:
    random = np.random.default_rng(5)
    reference, rows = random.normal(size=(40, 3)) * [1, 9, 0.2], random.normal(size=(12, 3)) * [2, 9, 0.2]
    names = ["a", "b", "c"]
    queue = Queue(by="drift", columns=names, reference="azureml:r:1")
    found = ordering.order(queue, 12, pl.DataFrame(rows, schema=names), pl.DataFrame(reference, schema=names))
    spread = reference.std(axis=0)
    near = neighbors.NearestNeighbors(n_neighbors=5).fit(reference / spread).kneighbors(rows / spread)[0].mean(axis=1)
    assert [row for row, _ in found] == list(np.argsort(-near, kind="stable"))
    assert dict(found) == pytest.approx(dict(enumerate(near)))
