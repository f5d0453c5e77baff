"""What each pixel is: from the file of a mask, or drawn from shapes."""

from __future__ import annotations

from typing import Any

import numpy
from PIL import Image, ImageDraw

from . import pictures, rle
from .faults import BadData
from .measures import IGNORED

# Modes of masks, where a pixel's value is a class's number.
_MODES = ("1", "L", "P")


def mask(label: Any, where: str, size: tuple[int, int], labels: list[str]) -> numpy.ndarray:
    """Class numbers of shape ``size`` (height, width); 255 is judged by nobody. Raises BadData."""
    if not isinstance(label, str):
        return _drawn(label, where, size, labels)
    try:
        with Image.open(label) as image:
            if image.width * image.height > pictures.MOST_PIXELS:
                raise BadData("a mask of {} x {} pixels".format(*image.size), label)
            if image.mode not in _MODES:
                raise BadData(
                    f"a mask of mode {image.mode}", label, "A mask has one channel of 8 bits, with class numbers"
                )
            found = numpy.asarray(image).astype(numpy.uint8)
    except BadData:
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parsers run into
        raise BadData(f"the mask cannot be read: {error}", label) from None
    if found.shape != size:
        raise BadData("the mask is {} x {} pixels high and wide, its image {} x {}".format(*found.shape, *size), label)
    wrong = sorted(set(numpy.unique(found).tolist()) - set(range(len(labels))) - {IGNORED})
    if wrong:
        raise BadData(
            f"the mask holds the value {wrong[0]}, and there are {len(labels)} classes", label,
            "Values are 0 to %s in the order of `labels`; 255 is not judged" % (len(labels) - 1),
        )  # fmt: skip
    return found


def _drawn(shapes: list[dict[str, Any]], where: str, size: tuple[int, int], labels: list[str]) -> numpy.ndarray:
    """Later shapes lie upon earlier ones; what no shape covers is the first class."""
    height, width = size
    image = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(image)
    for shape in shapes:
        if shape["label"] not in labels:
            raise BadData("the label '{}' is none of {}".format(shape["label"], ", ".join(labels)), where)
        number = labels.index(shape["label"])
        if "rle" in shape:
            image.paste(number, mask=Image.fromarray(rle.mask(shape["rle"], where, size)))
            continue
        for outline in _outlines(shape, width, height):
            pen.polygon([(float(x), float(y)) for x, y in outline], fill=number)
    return numpy.asarray(image)


def _outlines(shape: dict[str, Any], width: int, height: int) -> list[list[tuple[float, float]]]:
    if "polygons" in shape:
        return shape["polygons"]
    if "polygon" in shape:
        return [shape["polygon"]]
    x, y, wide, high = shape["box"] if "box" in shape else _pixels(shape["share"], width, height)
    return [[(x, y), (x + wide - 1, y), (x + wide - 1, y + high - 1), (x, y + high - 1)]]


def _pixels(share: list[float], width: int, height: int) -> list[float]:
    return [share[0] * width, share[1] * height, share[2] * width, share[3] * height]


def named(label: Any) -> list[str]:
    """The labels that shapes use; none for a file, which uses numbers."""
    return [] if isinstance(label, str) else [str(each["label"]) for each in label]
