"""A hold-out's images by how light they are, and made worse: what a robustness check asks a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.frames import pictures
from doubleloop.gates.checks import robustness
from doubleloop.statistics import corruptions


@dataclass(frozen=True)
class Slice:
    """``rows``: numbers of the hold-out's rows. ``start``: where their images begin among ``Asked.images``, which has
    every row of the hold-out once for each way in which it is asked."""

    name: str
    rows: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Asked:
    images: list[bytes]
    slices: list[Slice]


def asked(images: pl.Series, kinds: Sequence[str], severities: Sequence[int]) -> Asked:
    """The images as they are (as a whole, and by terciles of brightness), and with each corruption. The same noise each
    time. Raises InvalidInput naming the row of one that cannot be read."""
    pixels = [_pixels(value, row) for row, value in enumerate(images)]
    everything = tuple(range(len(pixels)))
    light = np.array([each.mean() for each in pixels])
    terciles = np.searchsorted(np.quantile(light, [1 / 3, 2 / 3]), light, side="left")
    slices = [Slice(robustness.WHOLE, everything, 0)]
    for at, name in enumerate(robustness.TERCILES):
        slices.append(Slice(f"brightness {name}", tuple(np.flatnonzero(terciles == at).tolist()), 0))
    found = [pictures.png(each) for each in pixels]
    for kind in kinds:
        for severity in severities:
            slices.append(Slice(f"{kind} {severity}", everything, len(found)))
            draw = np.random.default_rng(0)
            found += [pictures.png(corruptions.corrupted(each, kind, severity, draw)) for each in pixels]
    return Asked(found, slices)


def _pixels(value: Any, row: int) -> NDArray[np.uint8]:
    try:
        found = pictures.decode(value)
    except errors.DoubleloopError as error:
        raise errors.InvalidInput(f"row {row + 1} of the hold-out holds no image: {error.what}") from None
    whole = found[..., :3] if found.ndim == 3 else found
    return np.asarray(whole, dtype=np.uint8)
