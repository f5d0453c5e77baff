"""Images made worse in known steps, to measure what a model stands.

Kinds and severities are those of D. Hendrycks and T. Dietterich 2019, *Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations* (ImageNet-C), whose blur is meant for 224 pixels and scaled to the size here.
"""

from __future__ import annotations

import numpy
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)
KINDS = ("noise", "blur", "contrast", "brightness")
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of full light
_BLUR = (1.0, 2.0, 3.0, 4.0, 6.0)  # standard deviation of the Gaussian, in pixels of 224
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # what is left of the distance to the mean
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of hue, saturation and value


def corrupted(images: numpy.ndarray, kind: str, severity: int, seed: int = 0) -> numpy.ndarray:
    """``images``: shape ``(n, height, width, channels)``, whole numbers 0 to 255; so is what is returned.

    Raises ValueError for a kind or severity that there is not.
    """
    if kind not in KINDS or severity not in SEVERITIES:
        raise ValueError(f"there is no corruption '{kind}' of severity {severity}")
    step = severity - 1
    if kind == "blur":
        return numpy.stack([_blurred(image, _BLUR[step]) for image in images])
    light = images.astype(numpy.float64) / 255.0
    if kind == "noise":
        light = light + numpy.random.default_rng(seed).normal(0.0, _NOISE[step], light.shape)
    elif kind == "contrast":
        mean = light.mean(axis=(1, 2), keepdims=True)
        light = (light - mean) * _CONTRAST[step] + mean
    else:
        light = _brighter(light, _BRIGHTNESS[step])
    return numpy.clip(numpy.rint(light * 255.0), 0, 255).astype(numpy.uint8)


def _brighter(light: numpy.ndarray, more: float) -> numpy.ndarray:
    """More value at the same hue and saturation: all channels grow by one factor; black becomes grey."""
    value = light.max(axis=3, keepdims=True)
    wanted = numpy.clip(value + more, 0.0, 1.0)
    return numpy.where(value > 0, light * (wanted / numpy.maximum(value, 1e-12)), wanted)


def _blurred(image: numpy.ndarray, sigma: float) -> numpy.ndarray:
    flat = image[..., 0] if image.shape[2] == 1 else image
    radius = sigma * min(image.shape[:2]) / 224.0
    made = numpy.asarray(Image.fromarray(flat).filter(ImageFilter.GaussianBlur(radius)))
    return made[..., None] if made.ndim == 2 else made
