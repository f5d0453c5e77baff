"""Residuals of forecasts; scipy and statsmodels are the referees."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from doubleloop.base import errors
from doubleloop.statistics import distributions, residuals

GENERATOR = np.random.default_rng(21)


@pytest.mark.parametrize(("shift", "scale", "rows"), [(0.0, 1.0, 40), (0.5, 1.0, 60), (0.1, 3.0, 300), (2.0, 0.2, 9)])
def test_shifts_are_scipys(shift, scale, rows):
    one, two = GENERATOR.normal(size=150), GENERATOR.normal(shift, scale, rows)
    wanted = stats.ttest_ind(one, two, equal_var=False).pvalue
    assert residuals.residual_mean_shift(one, two) == pytest.approx(wanted, rel=1e-9)
    assert residuals.residual_variance_shift(one, two) == pytest.approx(stats.levene(one, two).pvalue, rel=1e-9)
    assert residuals.residual_normality(one) == pytest.approx(stats.jarque_bera(one).pvalue, rel=1e-9)


def test_autocorrelation_is_statsmodels():
    generator = np.random.default_rng(9)
    noise = generator.normal(size=200)
    linked = noise.copy()
    for at in range(1, 200):
        linked[at] += 0.2 * linked[at - 1]
    # statsmodels 0.15, acorr_ljungbox(…, lags=[5, 10])["lb_pvalue"], written down once
    assert residuals.residual_autocorrelation(linked, 5) == pytest.approx(0.8297762276345186, rel=1e-9)
    assert residuals.residual_autocorrelation(linked, 10) == pytest.approx(0.8003650061868146, rel=1e-9)
    assert residuals.residual_autocorrelation(noise, 10) == pytest.approx(0.4264159556103406, rel=1e-9)
    assert residuals.residual_autocorrelation(np.sin(np.arange(200) / 5)) < 1e-12


def test_constants_are_the_same_or_not():
    still = np.full(20, 1.5)
    assert residuals.residual_mean_shift(still, still) == 1.0
    assert residuals.residual_mean_shift(still, still + 1) == 0.0
    assert residuals.residual_variance_shift(still, still) == 1.0
    assert residuals.residual_autocorrelation(still) == residuals.residual_normality(still) == 1.0
    with pytest.raises(errors.InvalidInput, match="3 residuals are too few"):
        residuals.residual_mean_shift(still, np.zeros(3))


def test_a_residual_is_prediction_minus_truth_where_both_are():
    assert residuals.of([1.0, None, 3.0], [1.5, 2.0, 2.0]).tolist() == [0.5, -1.0]
    with pytest.raises(errors.InvalidInput, match="2 true values"):
        residuals.of([1.0, 2.0], [1.0])


@pytest.mark.parametrize("a", [0.5, 1.0, 4.5, 80.0])
@pytest.mark.parametrize("b", [0.5, 2.0, 300.0])
def test_the_incomplete_beta_function_is_scipys(a, b):
    for x in np.linspace(0, 1, 31):
        assert distributions.incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-10, abs=1e-300)
