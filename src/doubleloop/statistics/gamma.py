"""The upper tail of the chi-squared distribution, through the regularised incomplete gamma function.

Series below the mean, Lentz's continued fraction above it (W. Press et al., *Numerical Recipes*, 6.2).
"""

from __future__ import annotations

import math

_PRECISION = 1e-16
_TINY = 1e-300


def chi_squared_survival(statistic: float, degrees: int) -> float:
    """P(X >= statistic) for X chi-squared with ``degrees`` of freedom; 1.0 when nothing is free to vary."""
    if degrees <= 0:
        return 1.0 if statistic <= 0 else 0.0
    return upper(degrees / 2.0, statistic / 2.0)


def upper(a: float, x: float) -> float:
    """Q(a, x), the regularised upper incomplete gamma function, for a > 0 and x >= 0."""
    if x <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    scale = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        return 1.0 - math.exp(scale) * _series(a, x)
    return math.exp(scale) * _continued_fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    n = a
    while term > total * _PRECISION:
        n += 1
        term *= x / n
        total += term
    return total


def _continued_fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c = 1 / _TINY
    d = 1 / max(b, _TINY)
    value = d
    i = 0
    while True:
        i += 1
        numerator = -i * (i - a)
        b += 2
        d = numerator * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + numerator / c
        c = c if abs(c) > _TINY else _TINY
        step = c * d
        value *= step
        if abs(step - 1) <= 4 * _PRECISION or i > 1_000_000:
            return value
