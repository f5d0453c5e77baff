"""Tails of Student's t and Fisher's F, through the regularised incomplete beta function.

Lentz's continued fraction (W. Press et al., *Numerical Recipes*, 6.4). scipy referees the tests.
"""

from __future__ import annotations

import math

_TINY = 1e-300
_PRECISION = 1e-15
_STEPS = 10_000


def t_two_sided(statistic: float, degrees: float) -> float:
    """P(\\|T\\| >= \\|statistic\\|) for ``degrees`` of freedom above 0."""
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + statistic * statistic))


def f_survival(statistic: float, above: float, below: float) -> float:
    """P(F >= statistic) with ``above`` and ``below`` degrees of freedom."""
    return 1.0 if statistic <= 0 else incomplete_beta(below / 2, above / 2, below / (below + above * statistic))


def normal_two_sided(statistic: float) -> float:
    return math.erfc(abs(statistic) / math.sqrt(2))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) for a, b > 0 and 0 <= x <= 1."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away(1 + step * d)
            c = _away(1 + step / c)
            value *= d * c
        if abs(d * c - 1) <= _PRECISION:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
