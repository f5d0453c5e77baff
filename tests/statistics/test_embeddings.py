"""Two sets of vectors: what comes from one source is seldom told apart, what does not is; kernels by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.spatial import distance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from doubleloop.base import errors
from doubleloop.statistics import embeddings

GENERATOR = np.random.default_rng(31)
SAME = GENERATOR.normal(size=(120, 8)), GENERATOR.normal(size=(90, 8))
MOVED = GENERATOR.normal(0.5, 1, size=(90, 8))
WIDER = GENERATOR.normal(0, 2, size=(90, 8))


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Gretton et al. 2012, equation 3, pair by pair."""
    both = np.concatenate([x, y])
    width = np.median(distance.pdist(both, "sqeuclidean"))
    kernel = lambda a, b: np.exp(-distance.cdist(a, b, "sqeuclidean") / width)  # noqa: E731
    within = [(kernel(z, z).sum() - len(z)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(sum(within) - 2 * kernel(x, y).mean())


@pytest.mark.parametrize("current", [SAME[1], MOVED, WIDER])
def test_the_discrepancy_is_its_definition(current):
    found = embeddings.maximum_mean_discrepancy(SAME[0], current)
    assert found.value == pytest.approx(by_definition(SAME[0], current), abs=1e-12)
    assert (found.p_value < 0.05) == (current is not SAME[1])
    assert (found.reference_rows, found.current_rows) == (120, 90)


def test_p_values_of_one_source_are_even():
    found = [
        embeddings.maximum_mean_discrepancy(GENERATOR.normal(size=(25, 3)), GENERATOR.normal(size=(25, 3)), 60).p_value
        for _ in range(120)
    ]
    assert 0.35 < np.mean(found) < 0.65
    assert np.mean(np.array(found) <= 0.1) < 0.25
    told = [
        embeddings.classifier_two_sample_test(GENERATOR.normal(size=(40, 3)), GENERATOR.normal(size=(40, 3))).p_value
        for _ in range(120)
    ]
    assert np.mean(np.array(told) <= 0.1) < 0.25


def test_a_classifier_tells_moved_sets_apart_as_scikit_learns_does():
    found = embeddings.classifier_two_sample_test(SAME[0], MOVED)
    assert found.p_value < 1e-6
    both, labels = np.concatenate([SAME[0], MOVED]), np.r_[np.zeros(120), np.ones(90)]
    theirs = LinearDiscriminantAnalysis().fit(both[::2], labels[::2]).decision_function(both[1::2])
    assert found.value == pytest.approx(roc_auc_score(labels[1::2], theirs), abs=0.08)
    assert embeddings.classifier_two_sample_test(*SAME).p_value > 0.05


def test_the_farthest_rows_are_those_of_the_nearest_neighbours():
    rows = np.concatenate([SAME[1], [[9.0] * 8], [[-4.0] * 8]])
    found = embeddings.farthest(SAME[0], rows, 3)
    assert [at for at, _ in found[:2]] == [90, 91]
    nearest = NearestNeighbors(n_neighbors=5).fit(SAME[0]).kneighbors(rows)[0].mean(axis=1)
    assert [value for _, value in found] == pytest.approx(sorted(nearest, reverse=True)[:3])


def test_frames_and_lists_are_matrices_and_other_things_are_not():
    frame = pl.DataFrame(SAME[0][:20])
    found = embeddings.maximum_mean_discrepancy(frame, SAME[1][:20].tolist(), 20)
    assert found == embeddings.maximum_mean_discrepancy(SAME[0][:20], SAME[1][:20], 20)
    nested = pl.Series([row.tolist() for row in SAME[0][:20]])
    assert embeddings.maximum_mean_discrepancy(nested, SAME[1][:20], 20) == found
    for wrong, words in (
        (SAME[0][:, :3], "dimensions"), (SAME[0][:1], "two are needed"), ([["a"]], "not vectors"),
        ([[np.nan] * 8] * 9, "finite"),
    ):  # fmt: skip
        with pytest.raises(errors.InvalidInput, match=words):
            embeddings.maximum_mean_discrepancy(wrong, SAME[1])
    assert embeddings.maximum_mean_discrepancy(np.zeros((5, 2)), np.zeros((5, 2))).value == 0.0
