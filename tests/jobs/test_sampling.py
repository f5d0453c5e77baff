"""The values of a sweep's trials: distributions, grids, Sobol's sequence, learning from results."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
from scipy import stats
from scipy.stats import qmc

from doubleloop.base import errors
from doubleloop.jobs import sampling, sobol, spaces

SPACE: dict[str, dict[str, Any]] = {
    "kind": {"type": "choice", "values": ["a", "b", "c"]},
    "rate": {"type": "loguniform", "min_value": -6, "max_value": -1},
    "depth": {"type": "randint", "upper": 7},
}
RANDOM = {"type": "random"}


def drawn(space: dict[str, Any], how: dict[str, Any], count: int, seed: int = 1) -> list[dict[str, Any]]:
    found = [sampling.sample(space, how, index, [], "minimize", seed) for index in range(count)]
    return [each for each in found if each is not None]


DISTRIBUTIONS = [
    ({"type": "uniform", "min_value": 2, "max_value": 5}, stats.uniform(2, 3)),
    ({"type": "loguniform", "min_value": -3, "max_value": 2}, stats.loguniform(math.exp(-3), math.exp(2))),
    ({"type": "normal", "mu": 3, "sigma": 2}, stats.norm(3, 2)),
    ({"type": "lognormal", "mu": 0.5, "sigma": 0.4}, stats.lognorm(0.4, scale=math.exp(0.5))),
]


@pytest.mark.parametrize(("parameter", "expected"), DISTRIBUTIONS)
def test_values_follow_the_distribution_that_is_named(parameter: dict[str, Any], expected: Any) -> None:
    values = [each["x"] for each in drawn({"x": parameter}, RANDOM, 2000)]
    assert stats.kstest(values, expected.cdf).pvalue > 0.001
    assert spaces.quantile(parameter, 0.25) == pytest.approx(expected.ppf(0.25))


@pytest.mark.parametrize("kind", ["quniform", "qloguniform", "qnormal", "qlognormal"])
def test_values_with_a_step_are_multiples_of_it(kind: str) -> None:
    bounds = {"min_value": 0.1, "max_value": 2} if "uniform" in kind else {"mu": 1, "sigma": 0.5}
    values = [each["x"] for each in drawn({"x": {"type": kind, "q": 0.1, **bounds}}, RANDOM, 200)]
    assert len(set(values)) > 5
    assert all(value == round(value, 1) for value in values)


def test_choices_and_whole_numbers_come_up_equally_often() -> None:
    values = drawn(SPACE, RANDOM, 2100)
    for name, known in (("kind", ["a", "b", "c"]), ("depth", list(range(7)))):
        counts = [sum(each[name] == value for each in values) for value in known]
        assert sum(counts) == 2100 and stats.chisquare(counts).pvalue > 0.001


def test_a_seed_repeats_a_sweep_and_each_trial_is_known_by_its_index() -> None:
    seeded = {"type": "random", "seed": 7}
    assert drawn(SPACE, seeded, 5, 1) == drawn(SPACE, seeded, 5, 2)
    assert drawn(SPACE, RANDOM, 5, 1) != drawn(SPACE, RANDOM, 5, 2)
    assert sampling.sample(SPACE, seeded, 3, [], "minimize", 0) == drawn(SPACE, seeded, 5)[3]


def test_another_base_of_logarithms_is_used() -> None:
    space = {"x": {"type": "loguniform", "min_value": -3, "max_value": -1}}
    values = [each["x"] for each in drawn(space, {"type": "random", "logbase": "10"}, 100)]
    assert all(0.001 <= value <= 0.1 for value in values) and min(values) < 0.01
    with pytest.raises(errors.InvalidInput, match="logbase"):
        spaces.check(space, {"type": "random", "logbase": "1"})


@pytest.mark.parametrize("dimensions", [1, 2, 5, sobol.MAX_DIMENSIONS])
def test_sobols_points_are_those_of_scipy(dimensions: int) -> None:
    expected = qmc.Sobol(dimensions, scramble=False, bits=30).random(64)
    numpy.testing.assert_allclose([sobol.point(index, dimensions) for index in range(64)], expected)


def test_sobol_sampling_fills_the_space_more_evenly_than_chance() -> None:
    space = {"x": {"type": "uniform", "min_value": 0, "max_value": 1},
             "y": {"type": "uniform", "min_value": 0, "max_value": 1}}  # fmt: skip
    even = qmc.discrepancy([list(each.values()) for each in drawn(space, {"type": "random", "rule": "sobol"}, 64)])
    chance = qmc.discrepancy([list(each.values()) for each in drawn(space, RANDOM, 64)])
    assert even < chance / 3
    shifted = drawn(space, {"type": "random", "rule": "sobol", "seed": 3}, 4)
    assert shifted != drawn(space, {"type": "random", "rule": "sobol"}, 4)
    with pytest.raises(errors.InvalidInput, match="at most 21 parameters"):
        spaces.check({f"p{n}": space["x"] for n in range(22)}, {"type": "random", "rule": "sobol"})


def test_a_grid_goes_through_every_combination_once_and_ends() -> None:
    space = {"k": {"type": "choice", "values": ["a", "b"]}, "d": {"type": "randint", "upper": 3},
             "q": {"type": "quniform", "min_value": 0, "max_value": 1, "q": 0.5}}  # fmt: skip
    values = drawn(space, {"type": "grid"}, 100)
    assert len(values) == 18 and len({tuple(each.values()) for each in values}) == 18
    with pytest.raises(errors.InvalidInput, match="cannot go through all values of 'rate', which is loguniform"):
        spaces.check(SPACE, {"type": "grid"})


def test_bayesian_sampling_learns_where_the_best_values_lie() -> None:
    """After 30 trials of (x - 0.7)², the next ones lie nearer than chance would put them, for either goal."""
    space = {
        "x": {"type": "uniform", "min_value": 0, "max_value": 1},
        "k": {"type": "choice", "values": ["bad", "good"]},
    }
    for goal, sign in (("minimize", 1), ("maximize", -1)):
        trials: list[tuple[dict[str, Any], float | None]] = []
        for index in range(40):
            values = sampling.sample(space, {"type": "bayesian"}, index, trials, goal, 5)
            assert values is not None
            trials.append((values, sign * ((values["x"] - 0.7) ** 2 + (values["k"] == "bad"))))
        late = [values for values, _ in trials[30:]]
        assert sum(abs(values["x"] - 0.7) < 0.15 for values in late) >= 6
        assert sum(values["k"] == "good" for values in late) >= 8


def test_bayesian_sampling_is_the_same_again_and_differs_among_trials_at_once() -> None:
    done = [({"kind": "a", "rate": 0.01, "depth": 2}, 0.5), ({"kind": "b", "rate": 0.1, "depth": 3}, None)] * 4
    how = {"type": "bayesian"}
    assert sampling.sample(SPACE, how, 8, done, "minimize", 1) == sampling.sample(SPACE, how, 8, done, "minimize", 1)
    assert sampling.sample(SPACE, how, 9, done, "minimize", 1) != sampling.sample(SPACE, how, 8, done, "minimize", 1)
