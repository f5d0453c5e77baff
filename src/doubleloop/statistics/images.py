"""Images as numbers that ordinary drift metrics understand: light, contrast, sharpness, size, colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors

# ITU-R BT.601: how bright the eye finds red, green and blue.
_LUMA = np.array([0.299, 0.587, 0.114])
COLUMNS = ("width", "height", "brightness", "contrast", "sharpness", "red", "green", "blue")


def describe(images: Iterable[Any]) -> pl.DataFrame:
    """A row an image, columns ``COLUMNS``.

    An image is an array of shape ``(height, width)`` or ``(height, width, 1, 3 or 4)``, whole numbers 0 to 255 or
    fractions 0 to 1 (the fourth channel, transparency, is not looked at). Brightness, contrast (standard deviation) and
    the colours' means are fractions of full light; sharpness is the variance of the Laplacian of the light in 0 to 255
    (J. Pech-Pacheco et al. 2000). A grey image has three equal colours.

    Raises InvalidInput for another shape, and for values outside their range.
    """
    return pl.DataFrame(
        [_one(image, number) for number, image in enumerate(images)], schema=dict.fromkeys(COLUMNS, pl.Float64)
    )


def laplacian_variance(light: NDArray[np.float64]) -> float:
    """Of the 4-neighbour Laplacian inside the edges; 0 for an image of fewer than three rows or columns."""
    if min(light.shape) < 3:
        return 0.0
    inner = light[1:-1, 1:-1]
    found = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:] - 4 * inner
    return float(found.var())


def _one(image: Any, number: int) -> dict[str, float]:
    pixels = _pixels(np.asarray(image), number)
    light = pixels @ _LUMA
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0)
    return {
        "width": float(pixels.shape[1]), "height": float(pixels.shape[0]), "brightness": float(light.mean()),
        "contrast": float(light.std()), "sharpness": laplacian_variance(light * 255), "red": float(red),
        "green": float(green), "blue": float(blue),
    }  # fmt: skip


def _pixels(image: NDArray[Any], number: int) -> NDArray[np.float64]:
    """Shape ``(height, width, 3)``, 0 to 1."""
    flat = image[..., None] if image.ndim == 2 else image
    if flat.ndim != 3 or flat.shape[2] not in (1, 3, 4) or 0 in flat.shape:
        raise errors.InvalidInput(
            f"image {number} has shape {image.shape}", cure="Give (height, width) or (height, width, 1, 3 or 4)."
        )
    whole = flat.dtype == np.bool_ or np.issubdtype(flat.dtype, np.integer)
    top = 255.0 if whole and flat.dtype != np.bool_ else 1.0
    values = flat[..., :3].astype(np.float64) / top
    if not ((values >= 0) & (values <= 1)).all():
        raise errors.InvalidInput(
            f"image {number} has values outside its range", cure="Whole numbers are 0 to 255, fractions 0 to 1."
        )
    return np.broadcast_to(values, (*values.shape[:2], 3)) if values.shape[2] == 1 else values
