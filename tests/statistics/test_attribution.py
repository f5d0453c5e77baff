"""Importances and how their order changed; scikit-learn's ``ndcg_score`` is the referee."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from doubleloop.base import errors
from doubleloop.statistics import attribution

gains = st.lists(st.integers(0, 5), min_size=2, max_size=9)


@settings(max_examples=80, deadline=None)
@given(gains, st.randoms())
def test_the_gain_is_scikit_learns_also_with_ties(found, shuffler):
    scores = list(found)
    shuffler.shuffle(scores)
    names = [f"x{at}" for at in range(len(found))]
    ours = attribution.normalized_discounted_cumulative_gain(
        dict(zip(names, map(float, found), strict=True)), dict(zip(reversed(names), reversed(scores), strict=True))
    )
    assert ours == pytest.approx(ndcg_score([found], [scores]), abs=1e-12)


def test_only_the_same_features_are_compared():
    with pytest.raises(errors.InvalidInput, match="same two or more features"):
        attribution.normalized_discounted_cumulative_gain({"a": 1.0, "b": 0.5}, {"a": 1.0, "c": 0.5})
    with pytest.raises(errors.InvalidInput, match="not negative"):
        attribution.normalized_discounted_cumulative_gain({"a": 1.0, "b": -0.5}, {"a": 1.0, "b": 0.5})


def test_a_feature_counts_by_the_variance_it_explains():
    generator = np.random.default_rng(1)
    x, kind = generator.normal(size=4_000), generator.choice(["a", "b", "c"], 4_000)
    effect = np.array([{"a": 0.0, "b": 1.0, "c": 3.0}[label] for label in kind])
    frame = pl.DataFrame(
        {"x": x, "kind": kind, "noise": generator.normal(size=4_000), "y": 2 * x + effect, "nested": [[1]] * 4_000}
    ).with_columns(pl.when(pl.int_range(pl.len()) % 50 == 0).then(None).otherwise(pl.col("x")).alias("x"))
    found = attribution.importances(frame, ["x", "kind", "noise", "nested"], "y")
    share = np.var(effect) / np.var(2 * x + effect)  # of a label: exactly the variance between its groups
    assert found["kind"] == pytest.approx(share, abs=0.03)
    assert found["x"] == pytest.approx(1 - share, abs=0.03)
    assert found["noise"] < 0.02
    assert found["nested"] == 0.0
    with pytest.raises(errors.InvalidInput, match="'ghost'"):
        attribution.importances(frame, ["ghost"], "y")


def test_importance_is_the_share_of_variance_that_a_feature_explains():
    rng = np.random.default_rng(3)
    group = rng.integers(0, 4, 2000)
    target = group * 3.0 + rng.normal(0, 1, 2000)
    frame = pl.DataFrame({"group": group, "noise": rng.normal(0, 1, 2000), "target": target})
    found = attribution.importances(frame, ["group", "noise"], "target")
    between = sum((group == g).sum() * (target[group == g].mean() - target.mean()) ** 2 for g in range(4))
    assert found["group"] == pytest.approx(between / (2000 * target.var()))
    assert found["noise"] < 0.05
