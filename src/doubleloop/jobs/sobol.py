"""The Sobol sequence in Gray-code order: points that fill the unit cube evenly.

Direction numbers of S. Joe and F. Y. Kuo (new-joe-kuo-6.21201), after Antonov and Saleev's construction.
"""

from __future__ import annotations

from functools import cache

_BITS = 30
# Of each dimension after the first: degree of the primitive polynomial, its inner coefficients, initial numbers.
_NUMBERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
    (5, 14, (1, 3, 5, 5, 31)),
    (6, 1, (1, 3, 3, 9, 7, 49)),
    (6, 13, (1, 1, 1, 15, 21, 21)),
    (6, 16, (1, 3, 1, 13, 27, 49)),
    (6, 19, (1, 1, 1, 15, 7, 5)),
    (6, 22, (1, 3, 1, 15, 13, 25)),
    (6, 25, (1, 1, 5, 5, 19, 61)),
    (7, 1, (1, 3, 7, 11, 23, 15, 103)),
    (7, 4, (1, 3, 7, 13, 13, 15, 69)),
)
MAX_DIMENSIONS = len(_NUMBERS) + 1


def point(index: int, dimensions: int) -> list[float]:
    """The point with this index (from 0, which is the origin), one number of [0, 1) per dimension."""
    gray = index ^ (index >> 1)
    found = []
    for dimension in range(dimensions):
        bits = 0
        for number, direction in enumerate(_directions(dimension)):
            if gray >> number & 1:
                bits ^= direction
        found.append(bits / 2**_BITS)
    return found


@cache
def _directions(dimension: int) -> tuple[int, ...]:
    if dimension == 0:
        return tuple(1 << (_BITS - 1 - bit) for bit in range(_BITS))
    degree, coefficients, initial = _NUMBERS[dimension - 1]
    found = [number << (_BITS - 1 - bit) for bit, number in enumerate(initial)]
    for bit in range(degree, _BITS):
        value = found[bit - degree] ^ (found[bit - degree] >> degree)
        for inner in range(1, degree):
            if coefficients >> (degree - 1 - inner) & 1:
                value ^= found[bit - inner]
        found.append(value)
    return tuple(found)
