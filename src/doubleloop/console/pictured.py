"""A logged request as a person looks at it: the image or the text, and the other values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.frames import pictures

MOST_TEXT = 4_000
MOST_VALUES = 60


def shown(example: Mapping[str, Any]) -> dict[str, Any]:
    """``picture`` (a ``data:`` address, or ""), ``text`` of the column that the example is about, ``values`` of the
    others as (name, text)."""
    inputs = dict(example["inputs"])
    about = inputs.pop(example["column"], None)
    picture = _picture(about)
    values = [(name, clipped(value)) for name, value in {**inputs, **_answers(example)}.items()]
    text = "" if about is None or picture else clipped(about)
    return {"picture": picture, "text": text, "values": values[:MOST_VALUES], "more": max(0, len(values) - MOST_VALUES)}


def _answers(example: Mapping[str, Any]) -> dict[str, Any]:
    return {f"answer: {name}": value for name, value in example["outputs"].items()}


def _picture(value: Any) -> str:
    """An image in a format that browsers draw, else pixels as PNG; "" for what is no image."""
    content = value if isinstance(value, bytes) else _encoded(value) if isinstance(value, str) else b""
    kind = pictures.media_type(content)
    if not kind.startswith("image/"):
        try:
            content, kind = pictures.png(_eight_bits(pictures.decode(value))), "image/png"
        except errors.DoubleloopError:
            return ""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers of 0 to 1, or of 0 to 255, as they are drawn."""
    numbers = np.nan_to_num(pixels.astype(np.float64))
    scale = 255.0 if pixels.dtype.kind == "f" and numbers.size and numbers.max() <= 1 else 1.0
    return np.clip(np.rint(numbers * scale), 0, 255).astype(np.uint8)


def _encoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
    except (binascii.Error, ValueError):
        return b""


def clipped(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"
