"""Images made worse in known steps, to see what a model stands.

Kinds and severities are those of D. Hendrycks and T. Dietterich 2019, *Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations* (ImageNet-C), whose blur is meant for 224 pixels and scaled to the size here. The
catalog's components measure by the same ones; the tests hold one against the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from doubleloop.base import errors

KINDS = ("noise", "blur", "contrast", "brightness")
SEVERITIES = (1, 2, 3, 4, 5)
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of full light
_BLUR = (1.0, 2.0, 3.0, 4.0, 6.0)  # standard deviation of the Gaussian, in pixels of 224
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # what is left of the distance to the mean
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of hue, saturation and value


def corrupted(image: NDArray[Any], kind: str, severity: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """``image``: shape (height, width) or (height, width, 1 or 3), whole numbers 0 to 255; so is what is returned.
    ``draw`` makes the noise. Raises InvalidInput for a kind or severity that there is not."""
    if kind not in KINDS or severity not in SEVERITIES:
        raise errors.InvalidInput(
            f"there is no corruption '{kind}' of severity {severity}", cure=f"One of {', '.join(KINDS)}, from 1 to 5."
        )
    step = severity - 1
    if kind == "blur":
        return _blurred(image, _BLUR[step])
    light = image.astype(np.float64) / 255.0
    if kind == "noise":
        light = light + draw.normal(0.0, _NOISE[step], light.shape)
    elif kind == "contrast":
        mean = light.mean(axis=(0, 1), keepdims=True)
        light = (light - mean) * _CONTRAST[step] + mean
    else:
        light = _brighter(light, _BRIGHTNESS[step])
    return np.clip(np.rint(light * 255.0), 0, 255).astype(np.uint8)


def _brighter(light: NDArray[np.float64], more: float) -> NDArray[np.float64]:
    """More value at the same hue and saturation: all channels grow by one factor; black becomes grey."""
    value = light if light.ndim == 2 else light.max(axis=2, keepdims=True)
    wanted = np.clip(value + more, 0.0, 1.0)
    found: NDArray[np.float64] = np.where(value > 0, light * (wanted / np.maximum(value, 1e-12)), wanted)
    return found


def _blurred(image: NDArray[Any], sigma: float) -> NDArray[np.uint8]:
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    radius = sigma * min(image.shape[:2]) / 224.0
    made = np.asarray(Image.fromarray(flat.astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)))
    return made.reshape(image.shape)
