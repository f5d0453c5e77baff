"""Encoded images as arrays, whatever a camera, a scanner or a browser made of them."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from typing import Any

import numpy
from PIL import Image, ImageOps, UnidentifiedImageError

# More is taken for an attack on memory: a file of a few bytes may claim any size.
MOST_PIXELS = 50_000_000
MOST_BYTES = 50_000_000
_WHITE = (255, 255, 255, 255)


class BadImage(ValueError):
    """What cannot be read as an image. ``bad_request``: a server tells the caller, whose mistake it is."""

    bad_request = True


def opened(content: Any, mode: str) -> Image.Image:
    """The image upright in ``mode`` (``L``: one grey channel, ``RGB``: three), 8 bits each.

    ``content``: the bytes of a file, or their base64 text (also as a ``data:`` URL). A rotation that EXIF tells is
    applied, transparency is laid on white, 16 bits become 8, palettes and CMYK become colours, of an animation the
    first frame counts. Raises BadImage.
    """
    raw = _bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own word about large images; the bound is ours
            with Image.open(io.BytesIO(raw)) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise BadImage(f"an image of {width} x {height} pixels, the most are {MOST_PIXELS}")
                return _as_mode(ImageOps.exif_transpose(image), mode)
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage(f"an image of far more than {MOST_PIXELS} pixels, which are the most") from None
    except UnidentifiedImageError:
        raise BadImage("the image cannot be read: it has none of the known formats, or is cut off") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers run into
        raise BadImage("the image cannot be read: %s" % (str(error) or type(error).__name__)) from None


def _bytes(content: Any) -> bytes:
    if isinstance(content, str):
        text = content.partition(",")[2] if content.startswith("data:") else content
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise BadImage("the text is not an image in base64") from None
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise BadImage(f"an image is bytes or base64 text, not {type(content).__name__}")
    if not len(content):
        raise BadImage("the image is empty")
    if len(content) > MOST_BYTES:
        raise BadImage(f"an image of {len(content)} bytes, the most are {MOST_BYTES}")
    return bytes(content)


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert(mode) if image.mode != mode else image.copy()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Of 16 bits, and of floats from 0 to 1 or to 255; anything beyond is cut off."""
    values = numpy.asarray(image, dtype=numpy.float64)
    if image.mode == "F":
        values = values * (255.0 if values.max(initial=0.0) <= 1 else 1.0)
    else:
        values = values / 257.0  # 65535 becomes 255
    return Image.fromarray(numpy.clip(numpy.rint(values), 0, 255).astype(numpy.uint8))


def array(image: Image.Image, size: tuple[int, int]) -> numpy.ndarray:
    """Pixels of shape ``(height, width, channels)``, 0 to 255, resized to ``size`` (height, width)."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = numpy.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def png(pixels: numpy.ndarray) -> bytes:
    """``pixels``: shape ``(height, width)`` or ``(height, width, 1 or 3)``, 0 to 255."""
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(numpy.ascontiguousarray(flat, dtype=numpy.uint8)).save(file, "PNG")
    return file.getvalue()
