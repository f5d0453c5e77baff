"""The survival functions behind the p-values agree with scipy's over their whole range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from doubleloop.statistics import gamma, kolmogorov


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 101, 999, 20_000])
def test_chi_squared_survival_equals_scipy(degrees):
    for x in [0.0, *np.geomspace(1e-4, 6, 60) * degrees]:
        expected = stats.chi2.sf(x, degrees)
        assert gamma.chi_squared_survival(x, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 3.3, 250.0])
def test_incomplete_gamma_equals_scipy_around_its_change_of_method(a):
    for x in np.linspace(max(a - 2, 0.01), a + 3, 41):
        assert gamma.upper(a, x) == pytest.approx(special.gammaincc(a, x), rel=1e-11)


def test_chi_squared_at_its_ends():
    assert gamma.chi_squared_survival(math.inf, 3) == 0.0
    assert gamma.chi_squared_survival(0.0, 0) == 1.0
    assert gamma.chi_squared_survival(1.0, 0) == 0.0


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 9), (2, 3), (30, 30), (60, 45), (97, 31), (400, 13)])
def test_two_sample_p_value_is_exact_for_every_possible_statistic(first, second):
    step = math.gcd(first, second)
    possible = range(step, first * second + 1, max(step, first * second // 40 // step * step))
    for scaled in possible:
        # scipy's own exact method, called as its public function would call it
        lcm = first * second // step
        _, _, expected = stats._stats_py._attempt_exact_2kssamp(first, second, step, scaled / step / lcm, "two-sided")
        assert kolmogorov.two_sample_p_value(scaled, first, second) == pytest.approx(expected, rel=1e-9)


def test_two_sample_p_value_by_counting_all_orders():
    """Three against two: ten orders, of which the two extreme ones have D = 1."""
    assert kolmogorov.two_sample_p_value(6, 3, 2) == pytest.approx(2 / 10)
    assert kolmogorov.two_sample_p_value(4, 3, 2) == pytest.approx(stats.ks_2samp([1, 2, 4], [3, 5]).pvalue)
    assert kolmogorov.two_sample_p_value(0, 3, 2) == 1.0


@pytest.mark.parametrize("size", [1, 2, 5, 20, 140, 141, 500, 5000, 100_000, 400_000])
def test_one_sample_survival_equals_scipy(size):
    for z in np.geomspace(0.05, 60, 90 if size < 100_000 else 12):
        distance = math.sqrt(z / size)
        if distance < 1:
            expected = stats.kstwo.sf(distance, size)
            assert kolmogorov.one_sample_survival(distance, size) == pytest.approx(expected, rel=1e-7, abs=1e-300)


def test_one_sample_survival_at_its_ends():
    assert kolmogorov.one_sample_survival(1.0, 10) == 0.0
    assert kolmogorov.one_sample_survival(0.05, 10) == 1.0
    assert kolmogorov.one_sample_survival(0.5, 10_000) == 0.0


@pytest.mark.parametrize(("first", "second"), [(10_001, 20), (30_000, 12_000), (15_000, 15_000)])
def test_large_samples_take_the_asymptotic_p_value_of_scipy(first, second):
    generator = np.random.default_rng(first)
    for shift in (0.0, 0.03, 0.3):
        x, y = generator.normal(size=first), generator.normal(shift, size=second)
        scaled = kolmogorov.statistic(x, y)
        expected = stats.ks_2samp(x, y)
        assert scaled / (first * second) == pytest.approx(expected.statistic)
        assert kolmogorov.two_sample_p_value(scaled, first, second) == pytest.approx(expected.pvalue, rel=1e-6)
