"""Quantile sketches keep their rank error over any merging, and say the same for every order of the parts."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.statistics import quantiles
from doubleloop.statistics.quantiles import Quantiles

SHARES = np.linspace(0.001, 0.999, 333)


def sketch(values: np.ndarray) -> Quantiles:
    return Quantiles.of(np.sort(values))


def worst(found: Quantiles, values: np.ndarray) -> float:
    """The largest distance between the share asked for and the true share at or below the value that came back."""
    ordered = np.sort(values)
    places = found.at(SHARES)
    low, high = (np.searchsorted(ordered, places, side=side) / len(ordered) for side in ("left", "right"))
    return float(np.maximum(np.maximum(low - SHARES, SHARES - high), 0).max())


def drawn(name: str, rows: int) -> np.ndarray:
    generator = np.random.default_rng(3)
    return {
        "normal": lambda: generator.normal(size=rows),
        "heavy tails": lambda: generator.standard_cauchy(rows),
        "few values": lambda: generator.poisson(2, rows).astype(float),
        "sorted": lambda: np.arange(rows, dtype=float),
        "seconds": lambda: 1.7e9 + generator.random(rows),
    }[name]()


@pytest.mark.parametrize("name", ["normal", "heavy tails", "few values", "sorted", "seconds"])
def test_ranks_are_within_their_bounds_in_one_piece_merged_at_once_and_one_after_the_other(name):
    values = drawn(name, 60_000)
    # Between two kept values one is interpolated, which may be a value that never occurs.
    assert worst(sketch(values), values) <= (2 if name == "few values" else 1) / quantiles.SIZE
    parts = [sketch(part) for part in np.array_split(values, 300)]
    at_once = quantiles.merged(parts)
    assert worst(at_once, values) <= (2 if name == "few values" else 1) / quantiles.SIZE
    in_turn = parts[0]
    for part in parts[1:]:
        in_turn = in_turn + part
    assert worst(in_turn, values) <= 3 / quantiles.SIZE  # three standard deviations
    assert len(in_turn.values) <= 4 * quantiles.SIZE
    assert at_once.count == in_turn.count == len(values)


@pytest.mark.parametrize("name", ["normal", "few values", "seconds"])
def test_thousands_of_sketches_are_thinned_by_themselves_before_they_become_one(name):
    values = drawn(name, 400_000)
    parts = [sketch(part) for part in np.array_split(values, 1_500)]
    found = quantiles.merged(parts)
    assert quantiles.tops(np.array([[np.bincount(part.levels, minlength=quantiles.LEVELS)] for part in parts])) > 1
    assert found == quantiles.merged(parts[::-1])
    assert found.count == len(values) and len(found.values) <= 4 * quantiles.SIZE
    assert worst(found, values) <= (2 if name == "few values" else 1) / quantiles.SIZE


def test_single_values_added_one_by_one_end_within_the_bounds():
    values = drawn("normal", 5_000)
    found = Quantiles.of(np.empty(0))
    for value in values:
        found = found + Quantiles.of(np.array([value]))
    assert found.count == 5_000
    assert worst(found, values) <= 3 / quantiles.SIZE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=900), min_size=1, max_size=6), st.randoms())
def test_the_order_of_parts_does_not_matter_and_every_value_is_counted(parts, shuffler: random.Random):
    held = [sketch(np.array(part)) for part in parts]
    found = quantiles.merged(held)
    shuffler.shuffle(held)
    assert quantiles.merged(held) == found
    assert held[0] + held[-1] == held[-1] + held[0]
    assert found.count == sum(map(len, parts))
    assert Quantiles.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_few_values_are_kept_as_they_are():
    values = drawn("normal", quantiles.SIZE)
    assert np.array_equal(sketch(values).values, np.sort(values))
    middles = (np.arange(quantiles.SIZE) + 0.5) / quantiles.SIZE
    assert sketch(values).at(middles) == pytest.approx(np.sort(values))
    assert sketch(values).share_below(np.sort(values)[49]) == 50 / quantiles.SIZE


def test_nothing_has_no_quantiles():
    nothing = Quantiles.of(np.empty(0))
    assert math.isnan(nothing.at([0.5])[0])
    assert math.isnan(nothing.share_below(1.0))
    assert quantiles.merged([]) == nothing + nothing == nothing
