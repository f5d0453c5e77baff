"""The distribution of the Kolmogorov-Smirnov statistic, for two samples and for one.

* Two samples up to ``EXACT_ROWS`` values each: the exact p-value, by lattice paths. For equal sizes the classic
  alternating sum; otherwise Viehmann's recurrence for the share of paths that leave the band, which adds positive
  numbers only and so keeps its relative precision down to the smallest p-values.
* Larger samples: the one-sample distribution at the effective size ``m n / (m + n)``, as scipy's ``ks_2samp`` does:
  Marsaglia, Tsang and Wang's matrix power up to 140 and for small distances, Pelz and Good's series above, and
  twice the exact one-sided tail where both sides cannot be passed at once (the plan of Simard and L'Ecuyer).

Sources: T. Viehmann, *Numerically more stable computation of the p-values for the two-sample Kolmogorov-Smirnov
test*, arXiv:2102.08037; G. Marsaglia, W. Tsang, J. Wang, J. Stat. Softw. 8(18), 2003; W. Pelz, I. Good, J. R. Stat.
Soc. B 38, 1976; R. Simard, P. L'Ecuyer, J. Stat. Softw. 39(11), 2011.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from doubleloop.statistics import columns

EXACT_ROWS = 10_000
_STRIDE = 64
_MATRIX_SIZE = 140
_SERIES_FROM = 100_000
_ONE_SIDED_FROM = 2.2
_ONE_SIDED_FROM_SMALL = 4.0
_NEVER_FROM = 370.0
_KEPT = 1_000_000  # logarithms of factorials that are worth their 8 MB from one column to the next


def statistic(reference: columns.Floats, current: columns.Floats) -> int:
    """The largest distance of the two empirical distribution functions, times ``len(reference) * len(current)``:
    an integer, so ties and rounding cannot move it. Both samples hold at least one value, none of them NaN."""
    return statistic_of_sorted(np.sort(reference), np.sort(current))


def statistic_of_sorted(first: columns.Floats, second: columns.Floats) -> int:
    """``statistic`` of samples that are sorted.

    Looks at every ``_STRIDE``-th value first. Between two such places the distance is bounded by the counts at its
    ends; only where that bound exceeds what was found is every value looked at.
    """
    ends = first[:1], second[:1], first[-1:], second[-1:]
    places = np.sort(np.concatenate([first[::_STRIDE], second[::_STRIDE], *ends]))
    one, two = _counts(first, second, places)
    found = int(np.abs(one - two).max())
    most = np.maximum(one[1:] - two[:-1], two[1:] - one[:-1])
    near = most > found
    if not near.any():
        return found
    places = np.concatenate(
        [side[below[0] : below[-1]][np.repeat(near, np.diff(below))]
         for side, below in ((first, one // len(second)), (second, two // len(first)))]
    )  # fmt: skip
    one, two = _counts(first, second, places)
    return max(found, int(np.abs(one - two).max()))


def _counts(
    first: columns.Floats, second: columns.Floats, places: columns.Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values at or below each place, of either sample, on the common scale ``len(first) * len(second)``."""
    below_first = np.searchsorted(first, places, side="right").astype(np.int64)
    below_second = np.searchsorted(second, places, side="right").astype(np.int64)
    return below_first * len(second), below_second * len(first)


def two_sample_p_value(scaled: int, first: int, second: int) -> float:
    """P(D >= d) when both samples come from one continuous distribution.

    ``scaled`` is ``d * first * second`` as ``statistic`` gives it; ``first`` and ``second`` are the sample sizes.
    """
    if scaled == 0:
        return 1.0
    if max(first, second) > EXACT_ROWS:
        effective = round(first * second / (first + second))
        return one_sample_survival(scaled / (first * second), max(effective, 1))
    if first == second:
        return _equal_sizes(scaled // first, first)
    return _paths_leaving_the_band(scaled, first, second)


def _equal_sizes(steps: int, size: int) -> float:
    """2 (C(2n, n-h) - C(2n, n-2h) + C(2n, n-3h) ...) / C(2n, n), from the innermost term outwards."""
    total = 0.0
    for turn in range(size // steps, 0, -1):
        ratio = 1.0
        for j in range(steps):  # C(2n, n-kh) / C(2n, n-(k-1)h)
            ratio *= (size - (turn - 1) * steps - j) / (size + (turn - 1) * steps + j + 1)
        total = ratio * (1.0 - total)
    return min(2.0 * total, 1.0)


def _paths_leaving_the_band(scaled: int, first: int, second: int) -> float:
    """Share of the lattice paths from (0, 0) to (first, second) with a point where ``|i n - j m| >= scaled``.

    One diagonal ``i + j = s`` at a time; ``left[i + 1]`` is the share for the point (i, s - i), and 1 outside.
    """
    total = first + second
    left = np.ones(first + 2)
    left[1] = 0.0
    index = np.arange(first + 1, dtype=np.float64)
    previous = 0
    for s in range(1, total + 1):
        low = max((s * first - scaled) // total + 1, 0, s - second)
        high = min(-((-s * first - scaled) // total) - 1, first, s)
        weight = index[low : high + 1]
        inside = (weight * left[low : high + 1] + (s - weight) * left[low + 1 : high + 2]) / s
        left[previous + 1 : low + 1] = 1.0
        left[low + 1 : high + 2] = inside
        previous = low
    return float(min(left[first + 1], 1.0))


def one_sample_survival(distance: float, size: int) -> float:
    """P(D_n >= d) for one sample of ``size`` values against a continuous distribution."""
    z = size * distance * distance
    if distance <= 0.5 / size:
        return 1.0
    if distance >= 1.0 or z >= _NEVER_FROM:
        return 0.0
    if z >= (_ONE_SIDED_FROM if size > _MATRIX_SIZE else _ONE_SIDED_FROM_SMALL):
        return min(2.0 * _one_sided_survival(distance, size), 1.0)
    small = size <= _MATRIX_SIZE or (size <= _SERIES_FROM and size * distance**1.5 <= 1.4)
    below = _matrix_power(distance, size) if small else _pelz_good(distance, size)
    return min(max(1.0 - below, 0.0), 1.0)


def _one_sided_survival(distance: float, size: int) -> float:
    """Smirnov's exact sum ``d sum_j C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j)``, in logarithms."""
    j = np.arange(math.floor(size * (1.0 - distance)) + 1, dtype=np.float64)
    rest = 1.0 - distance - j / size
    j, rest = j[rest > 0], rest[rest > 0]
    logs = _log_factorials(size) if size <= _KEPT else _log_factorials.__wrapped__(size)
    choose = logs[size] - logs[: len(j)] - logs[size - len(j) + 1 :][::-1]
    terms = choose + (j - 1) * np.log(distance + j / size) + (size - j) * np.log(rest)
    top = float(terms.max())
    return math.exp(math.log(distance) + top) * float(np.exp(terms - top).sum())


@functools.lru_cache(maxsize=1)
def _log_factorials(most: int) -> columns.Floats:
    """ln 0! … ln most!; all columns of a table have about the same size."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1, dtype=np.float64)))])


def _matrix_power(distance: float, size: int) -> float:
    """P(D_n < d) by Durbin's matrix in the form of Marsaglia, Tsang and Wang."""
    k = math.floor(size * distance) + 1
    m = 2 * k - 1
    h = k - size * distance
    rows = np.arange(m)
    exponent = rows[:, None] - rows[None, :] + 1
    matrix = np.where(exponent >= 0, 1.0, 0.0)
    powers = h ** np.arange(1, m + 1, dtype=np.float64)
    matrix[:, 0] -= powers
    matrix[m - 1, :] -= powers[::-1]
    if 2 * h > 1:
        matrix[m - 1, 0] += (2 * h - 1) ** m
    factorials = np.array([math.factorial(min(e, 170)) for e in range(m + 1)], dtype=np.float64)
    matrix = np.where(exponent > 0, matrix / factorials[np.clip(exponent, 0, m)], matrix)
    return _central_entry(matrix, size, k)


def _central_entry(matrix: columns.Floats, size: int, k: int) -> float:
    """Entry (k, k) of ``matrix ** size``, times size! / size**size, with the binary exponent kept apart."""
    result, shift = np.eye(len(matrix)), 0
    for bit in bin(size)[2:]:
        result, shift = result @ result, 2 * shift
        if bit == "1":
            result = result @ matrix
        exponent = math.frexp(result[k - 1, k - 1])[1]
        result, shift = result * 2.0**-exponent, shift + exponent
    log_entry = math.log(result[k - 1, k - 1]) + shift * math.log(2.0)
    return math.exp(log_entry + math.lgamma(size + 1) - size * math.log(size))


def _pelz_good(distance: float, size: int) -> float:
    """P(D_n < d) as Kolmogorov's limit with its corrections down to n**-1.5."""
    x = distance * math.sqrt(size)
    x2, x4, x6, x8 = x**2, x**4, x**6, x**8
    k = np.arange(-20, 21, dtype=np.float64)
    half = (math.pi * (k + 0.5)) ** 2
    full = (math.pi * k) ** 2
    decay, full_decay = np.exp(-half / (2 * x2)), np.exp(-full / (2 * x2))
    root = math.sqrt(math.pi / 2)
    k0 = root / x * decay.sum()
    k1 = root / (6 * x4) * ((half - x2) * decay).sum()
    k2 = (
        root / (72 * x**7) * ((6 * x6 + 2 * x4 + half * (2 * x4 - 5 * x2) + half**2 * (1 - 2 * x2)) * decay).sum()
        - root / (36 * x**3) * (full * full_decay).sum()
    )
    k3 = (
        root
        / (6480 * x**10)
        * (
            (half**3 * (5 - 30 * x2) + half**2 * (212 * x4 - 60 * x2) + half * (135 * x4 - 96 * x6) - 30 * x6 - 90 * x8)
            * decay
        ).sum()
        + root / (216 * x6) * ((3 * full * x2 - full**2) * full_decay).sum()
    )
    return float(k0 + k1 / math.sqrt(size) + k2 / size + k3 / size**1.5)
