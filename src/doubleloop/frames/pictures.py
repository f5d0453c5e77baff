"""Images out of what a column or a file holds, as arrays of pixels."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from doubleloop.base import errors

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# More is taken for an attack on memory: a broken or malicious file may claim any size.
MOST_PIXELS = 50_000_000
_CHANNELS = (1, 3, 4)
_CURE = "Give PNG, JPEG or another format that Pillow reads, its base64 text, or pixels as nested lists."


def files(folder: Path) -> list[Path]:
    """Image files of a folder and those below it, by name."""
    return sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix.lower() in SUFFIXES)


def decode(value: Any) -> NDArray[Any]:
    """Pixels of shape ``(height, width)`` or ``(height, width, channels)``, as they are.

    ``value``: an encoded image (bytes, base64 text, a ``data:`` URL), or pixels (an array, nested lists, or their JSON
    text), also with the channels first, as torch has them. Raises InvalidInput.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            return _pixels(_json(text))
        return _opened(_bytes(text))
    if isinstance(value, bytes):
        return _opened(value)
    return _pixels(value)


def mask(value: Any) -> NDArray[np.uint8]:
    """Class numbers of shape ``(height, width)``, from an encoded image of one channel of 8 bits (bytes, base64 text).
    A palette's numbers count, not its colours. Raises InvalidInput."""
    content = value if isinstance(value, bytes) else _bytes(str(value).strip())
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise errors.TooLarge(f"a mask of {image.width} x {image.height} pixels, the most are {MOST_PIXELS:,}")
            if image.mode not in ("1", "L", "P"):
                raise errors.InvalidInput(f"a mask of mode {image.mode}", cure="Give one channel of 8 bits.")
            return np.asarray(image).astype(np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise errors.InvalidInput(f"the mask cannot be read: {error}", cure=_CURE) from None


def size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels. Raises InvalidInput."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise errors.InvalidInput(f"the image cannot be read: {error}", cure=_CURE) from None


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels of shape ``(height, width)`` or ``(height, width, 1 or 3)`` as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def media_type(content: bytes) -> str:
    """``image/png`` and the like, by the first bytes; ``application/octet-stream`` for what no browser should draw."""
    known = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in known.items() if content.startswith(start)), "application/octet-stream")


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidInput(f"the pixels are not JSON: {error}", cure=_CURE) from None


def _bytes(text: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidInput("the text is not an image in base64", cure=_CURE) from None


def _opened(content: bytes) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own word about large images; the bound is ours
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise errors.TooLarge(f"an image of {width} x {height} pixels, the most are {MOST_PIXELS:,}")
                return np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise errors.InvalidInput(f"the image cannot be read: {error}", cure=_CURE) from None


def _pixels(value: Any) -> NDArray[Any]:
    try:
        found = np.asarray(value)
    except ValueError:
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "biuf" or found.ndim not in (2, 3):
        raise errors.InvalidInput("the pixels are not numbers of two or three axes", cure=_CURE)
    if found.ndim == 3 and found.shape[0] in _CHANNELS and found.shape[2] not in _CHANNELS:
        return np.moveaxis(found, 0, 2)
    return found
