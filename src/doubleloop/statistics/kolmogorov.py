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

import math

import numpy as np
from numpy.typing import NDArray

from doubleloop.statistics import columns

EXACT_ROWS = 10_000
_STEPS = (2048, 256, 32, 1)
_MATRIX_SIZE = 140
_SERIES_FROM = 100_000
_ONE_SIDED_FROM = 2.2
_ONE_SIDED_FROM_SMALL = 4.0
_NEVER_FROM = 370.0
_BLOCKS_FROM, _ENDS, _BLOCK = 20_000, 1_000, 32
_SMALL = 24


def statistic(reference: columns.Floats, current: columns.Floats) -> int:
    """The largest distance of the two empirical distribution functions, times ``len(reference) * len(current)``:
    an integer, so ties and rounding cannot move it. Both samples hold at least one value, none of them NaN."""
    return statistic_of_sorted(np.sort(reference), np.sort(current))


def statistic_of_sorted(first: columns.Floats, second: columns.Floats) -> int:
    """``statistic`` of samples that are sorted.

    Looks at some values of one sample, then between them at more. Between two such places the distance is bounded by
    the counts at its ends; only where that bound exceeds what was found is it looked at closer.
    """
    if np.array_equal(first, second):  # where no bound would be below what is found
        return 0
    starts, width, found = np.zeros(1, np.int64), len(first) + _STEPS[0], 0
    for step in _STEPS:
        at = np.minimum(starts[:, np.newaxis] + np.arange(0, width + 1, step), len(first) - 1)
        places = first[at]
        upto = _upto(first, places, at + 1), np.searchsorted(second, places, side="right").astype(np.int64)
        under = _under(first, places, upto[0]) * len(second), _under(second, places, upto[1]) * len(first)
        upto = upto[0] * len(second), upto[1] * len(first)
        found = max(found, *(int(np.abs(one - two).max()) for one, two in (upto, under)))
        bound = np.maximum(under[0][:, 1:] - upto[1][:, :-1], under[1][:, 1:] - upto[0][:, :-1])
        starts, width = at[:, :-1][bound > found], step
        if not len(starts):
            break
    return found


def _upto(side: columns.Floats, places: columns.Floats, least: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values at or below each place, of which it is known how many there are at least."""
    more = (least < len(side)) & (side[np.minimum(least, len(side) - 1)] == places)
    least[more] = np.searchsorted(side, places[more], side="right")
    return least


def _under(side: columns.Floats, places: columns.Floats, upto: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values below each place; where at most one is at it, that needs no search."""
    found = upto - ((upto > 0) & (side[np.maximum(upto - 1, 0)] == places))
    more = (found > 0) & (found < upto) & (side[np.maximum(found - 1, 0)] == places)
    found[more] = np.searchsorted(side, places[more], side="left")
    return found


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
    """Smirnov's exact sum ``d sum_j C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j)``, in logarithms.

    Of many terms, those away from both ends are taken in blocks: two of their places stand for a block, which is exact
    for cubics (Gauss's rule for a sum over equal steps)."""
    last = math.ceil(size * (1.0 - distance)) - 1
    if last < _BLOCKS_FROM:
        logs = _log_terms(np.arange(last + 1, dtype=np.float64), distance, size)
        weights = np.ones(len(logs))
    else:
        blocks = (last + 1 - 2 * _ENDS) // _BLOCK
        middles = _ENDS + _BLOCK * np.arange(blocks) + (_BLOCK - 1) / 2
        apart = math.sqrt((_BLOCK**2 - 1) / 12)
        ends = np.concatenate([np.arange(_ENDS), np.arange(_ENDS + blocks * _BLOCK, last + 1)]).astype(np.float64)
        logs = _log_terms(np.concatenate([ends, middles - apart, middles + apart]), distance, size)
        weights = np.full(len(logs), _BLOCK / 2)
        weights[: len(ends)] = 1.0
    top = float(logs.max())
    return math.exp(math.log(distance) + top) * float((weights * np.exp(logs - top)).sum())


def _log_terms(places: columns.Floats, distance: float, size: int) -> columns.Floats:
    """``ln(C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j))`` at ``0 <= j < n (1 - d)``, by Stirling's series: large
    logarithms of factorials do not have to cancel."""
    j, rest = places, size - places
    with np.errstate(divide="ignore", invalid="ignore"):
        found = j * np.log1p(distance * size / j) + rest * np.log1p(-distance * size / rest)
        found += 0.5 * np.log(size / (2 * math.pi * j * rest)) - np.log(distance + j / size)
    found += _beyond_stirling(np.array([float(size)]))[0] - _beyond_stirling(j) - _beyond_stirling(rest)
    found[j == 0] = size * math.log1p(-distance) - math.log(distance)
    return found


def _beyond_stirling(x: columns.Floats) -> columns.Floats:
    """``ln x! - (x ln x - x + ln(2 pi x) / 2)``, NaN at 0; within 1e-13."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: columns.Floats = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / x**2) / x**2) / x**2) / x
    for place in np.flatnonzero((x > 0) & (x < _SMALL)):
        value = float(x[place])
        stirling = value * math.log(value) - value + math.log(2 * math.pi * value) / 2
        found[place] = math.lgamma(value + 1) - stirling
    return found


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
