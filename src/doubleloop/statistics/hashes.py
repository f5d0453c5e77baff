"""One stable hash of 64 bits for many texts at once: which labels a bounded tally keeps must not depend on a process,
a version of a library, or the order of merging.

A polynomial over the bytes of each text modulo 2**64, taken from prefix sums so that numpy does it for all texts
together (Karp, Rabin 1987), then mixed by the finaliser of splitmix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)


def of(labels: Sequence[str] | pl.Series) -> Hashes:
    """Shape ``(labels,)``, in their order."""
    held = labels if isinstance(labels, pl.Series) else pl.Series(list(labels), dtype=pl.String)
    if not len(held):
        return np.empty(0, dtype=np.uint64)
    text = held.cast(pl.Binary).to_arrow().cast(pa.large_binary())
    _, places, content = text.buffers()
    ends = np.frombuffer(places, dtype=np.int64, count=len(text) + 1, offset=8 * text.offset)
    letters = np.frombuffer(content, dtype=np.uint8) if content else np.empty(0, dtype=np.uint8)
    letters = letters[ends[0] : ends[-1]].astype(np.uint64) + np.uint64(1)
    ends = ends - ends[0]
    sums = np.zeros(len(letters) + 1, dtype=np.uint64)
    np.cumsum(letters * _powers(_BASE, len(letters)), out=sums[1:])
    raised = (sums[ends[1:]] - sums[ends[:-1]]) * _powers(_INVERSE, len(letters) + 1)[ends[:-1]]
    return mixed(raised + np.diff(ends).astype(np.uint64))


def of_integers(values: NDArray[np.int64]) -> Hashes:
    return mixed(values.view(np.uint64) + np.uint64(_BASE))


def mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _powers(base: int, count: int) -> Hashes:
    """``base ** 0 … base ** (count - 1)`` modulo 2**64."""
    steps = np.full(count, base, dtype=np.uint64)
    steps[:1] = 1
    return np.multiply.accumulate(steps)
