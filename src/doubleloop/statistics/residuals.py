"""Whether a forecast has begun to be wrong in a way that has a pattern: residuals against those of a reference time.

A residual is prediction minus truth. Four p-values, each small when something changed:

* ``residual_mean_shift``: Welch's t test of both means (B. Welch 1947): the forecast has become biased.
* ``residual_variance_shift``: Brown and Forsythe's test, deviations from the medians (1974): it has become less sure.
* ``residual_autocorrelation``: Ljung and Box's Q over lags (1978): what is left over could have been foretold.
* ``residual_normality``: Jarque and Bera's test (1980): tails or a skew that intervals do not know of.

scipy and statsmodels referee the tests.
"""

from __future__ import annotations

import math

import numpy as np

from doubleloop.base import errors
from doubleloop.statistics import columns, distributions, gamma

LAGS = 10
LEAST_ROWS = 8


def of(truth: columns.Column, predicted: columns.Column) -> columns.Floats:
    """Prediction minus truth in the order given, rows where either is missing left out. Shape ``(pairs,)``."""
    true, guess = columns.with_holes(truth), columns.with_holes(predicted)
    if len(true) != len(guess):
        raise errors.InvalidInput(f"{len(true)} true values but {len(guess)} predictions")
    found = guess - true
    return found[np.isfinite(found)]


def residual_mean_shift(reference: columns.Floats, current: columns.Floats) -> float:
    """p-value that both have one mean. 1 when neither varies and both are the same, 0 when they are not."""
    _enough(reference, current)
    parts = [side.var(ddof=1) / len(side) for side in (reference, current)]
    spread = float(sum(parts))
    apart = float(current.mean() - reference.mean())
    if spread == 0.0:
        return 1.0 if apart == 0.0 else 0.0
    degrees = spread**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (reference, current), strict=True))
    return distributions.t_two_sided(apart / math.sqrt(spread), float(degrees))


def residual_variance_shift(reference: columns.Floats, current: columns.Floats) -> float:
    """p-value that both have one variance, whatever their distribution."""
    _enough(reference, current)
    one, two = (np.abs(side - np.median(side)) for side in (reference, current))
    rows, middle = len(one) + len(two), np.concatenate([one, two]).mean()
    between = len(one) * (one.mean() - middle) ** 2 + len(two) * (two.mean() - middle) ** 2
    within = float(((one - one.mean()) ** 2).sum() + ((two - two.mean()) ** 2).sum())
    if within == 0.0:
        return 1.0 if between == 0.0 else 0.0
    return distributions.f_survival(float(between) * (rows - 2) / within, 1, rows - 2)


def residual_autocorrelation(current: columns.Floats, lags: int = LAGS) -> float:
    """p-value that residuals, in the order of time, know nothing of each other up to ``lags`` back."""
    _enough(current)
    lags = min(lags, len(current) // 2)
    apart = current - current.mean()
    total = float(np.dot(apart, apart))
    if total == 0.0:
        return 1.0
    rows = len(apart)
    shares = [float(np.dot(apart[lag:], apart[:-lag])) / total for lag in range(1, lags + 1)]
    statistic = rows * (rows + 2) * sum(share**2 / (rows - lag) for lag, share in enumerate(shares, 1))
    return gamma.chi_squared_survival(statistic, lags)


def residual_normality(current: columns.Floats) -> float:
    """p-value that skew and tails are those of a normal distribution; for many rows."""
    _enough(current)
    apart = current - current.mean()
    variance = float((apart**2).mean())
    if variance == 0.0:
        return 1.0
    skew, tails = float((apart**3).mean()) / variance**1.5, float((apart**4).mean()) / variance**2
    return gamma.chi_squared_survival(len(apart) / 6 * (skew**2 + (tails - 3) ** 2 / 4), 2)


def _enough(*sides: columns.Floats) -> None:
    for side in sides:
        if len(side) < LEAST_ROWS:
            raise errors.InvalidInput(
                f"{len(side)} residuals are too few to judge, {LEAST_ROWS} are needed", cure="Widen the data window."
            )
