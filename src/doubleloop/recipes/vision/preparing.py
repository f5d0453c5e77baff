"""Examples as arrays of one size, which are all that is kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from PIL import Image

from . import masks, pictures
from .faults import BadData
from .reading import Example

# Images that are looked at for size and colour.
LOOKED_AT = 200
LARGEST = 224
# So many broken images are named in one error.
NAMED = 5


@dataclass(frozen=True)
class Shape:
    """``mode``: L or RGB. ``height`` and ``width`` in pixels."""

    mode: str
    height: int
    width: int

    @property
    def channels(self) -> int:
        return 1 if self.mode == "L" else 3


@dataclass(frozen=True)
class Arrays:
    """``images``: shape (n, height, width, channels), 0 to 255; ``targets``: shape (n,), or (n, height, width) for
    masks. ``groups``: values of each column, a list as long as n. ``sizes``: height and width that images had, shape
    (n, 2)."""

    images: numpy.ndarray
    targets: numpy.ndarray
    sizes: numpy.ndarray
    groups: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: numpy.ndarray) -> Arrays:
        groups = {name: [values[at] for at in chosen] for name, values in self.groups.items()}
        return Arrays(self.images[chosen], self.targets[chosen], self.sizes[chosen], groups)


def shape(examples: Sequence[Example], size: int, colour: str, multiple: int) -> Shape:
    """The given side in pixels, or (``size`` 0) the middle size of some images, up to 224; sides are rounded up to a
    ``multiple``. ``colour``: auto (grey if all of those images are), grey or rgb. Raises BadData."""
    step = max(1, len(examples) // LOOKED_AT)
    seen = [_look(each) for each in examples[::step][:LOOKED_AT]]
    grey = colour == "grey" or (colour == "auto" and all(mode in ("1", "L", "I;16", "I") for mode, _, _ in seen))
    if size:
        height = width = size
    else:
        height, width = (int(numpy.median([each[at] for each in seen])) for at in (1, 2))
        smaller = min(1.0, LARGEST / max(height, width))
        height, width = (max(8, round(side * smaller)) for side in (height, width))
    height, width = (-(-side // multiple) * multiple for side in (height, width))
    return Shape("L" if grey else "RGB", height, width)


def _look(example: Example) -> tuple[str, int, int]:
    """Mode, height and width; of a broken image what hardly matters, for it is refused where it is read."""
    try:
        image = _opened(example, "RGB")
        if not example.is_path:
            return _mode(image), image.height, image.width
        with Image.open(example.content) as raw:
            return raw.mode, image.height, image.width
    except (pictures.BadImage, OSError):
        return "L", 28, 28


def _mode(image: Image.Image) -> str:
    pixels = numpy.asarray(image)
    return "L" if (pixels[..., :1] == pixels).all() else "RGB"


def _opened(example: Example, mode: str) -> Image.Image:
    if not example.is_path:
        return pictures.opened(example.content, mode)
    with open(example.content, "rb") as file:
        return pictures.opened(file.read(pictures.MOST_BYTES + 1), mode)


def classes(examples: Sequence[Example], named: str, segments: bool) -> list[str]:
    """``named``: as a list with commas; else those that are there, by name. Raises BadData for another in the data."""
    known = [each.strip() for each in named.split(",") if each.strip()]
    if segments:
        if not known:
            raise BadData(
                "`classes` is empty", cure="Name the classes in the order of the masks' values: background,cell"
            )
        return known
    found = sorted({example.label for example in examples})
    if not known:
        known = found
    for example in examples:
        if example.label not in known:
            raise BadData("the label '{}' is none of {}".format(example.label, ", ".join(known)), example.where,
                          "Correct it, or add it to `classes`")  # fmt: skip
    if len(known) < 2:
        raise BadData(f"all images have the label '{known[0]}'", cure="A classification needs two classes or more")
    if len(set(known)) < len(known):
        raise BadData("`classes` names one twice: {}".format(", ".join(known)))
    return known


def arrays(examples: Sequence[Example], like: Shape, labels: list[str], segments: bool) -> Arrays:
    """Raises BadData that names every broken image (the first five, and how many)."""
    images = numpy.empty((len(examples), like.height, like.width, like.channels), dtype=numpy.uint8)
    size = (len(examples), like.height, like.width) if segments else (len(examples),)
    targets = numpy.empty(size, dtype=numpy.uint8 if segments else numpy.int64)
    sizes = numpy.zeros((len(examples), 2), dtype=int)
    broken: list[str] = []
    for at, example in enumerate(examples):
        try:
            image = _opened(example, like.mode)
        except (pictures.BadImage, OSError) as error:
            broken.append(f"{example.where}: {error}")
            continue
        sizes[at] = image.height, image.width
        images[at] = pictures.array(image, (like.height, like.width))
        targets[at] = _mask(example, image, like, labels) if segments else labels.index(example.label)
    if broken:
        named = "; ".join(broken[:NAMED]) + (f" (and {len(broken) - NAMED} more)" if len(broken) > NAMED else "")
        raise BadData(
            f"{len(broken)} of {len(examples)} images are broken: {named}",
            cure="Mend them, or take them out of the data",
        )
    names = examples[0].groups if examples else {}
    return Arrays(images, targets, sizes, {name: [each.groups[name] for each in examples] for name in names})


def table(examples: Sequence[Example], data: Arrays) -> pandas.DataFrame:
    """What a contract is kept by: image (its file, or where it stands), label (of classes), width and height in pixels,
    and the columns of slices; a row an image."""
    found: dict[str, Any] = {"image": [each.where for each in examples]}
    if data.targets.ndim == 1:
        found["label"] = [each.label for each in examples]
    return pandas.DataFrame({**found, "width": data.sizes[:, 1], "height": data.sizes[:, 0], **data.groups})


def _mask(example: Example, image: Image.Image, like: Shape, labels: list[str]) -> numpy.ndarray:
    found = masks.mask(example.label, example.where, (image.height, image.width), labels)
    made = Image.fromarray(found).resize((like.width, like.height), Image.Resampling.NEAREST)
    return numpy.asarray(made)


def split(count: int, targets: Any, share: float, seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Numbers of rows to train on and to judge on; of every class (where ``targets`` has one a row) the same share, and
    one at least where a class has two rows or more. Raises BadData when nothing is left for one side."""
    generator = numpy.random.default_rng(seed)
    kinds = targets if targets.ndim == 1 else numpy.zeros(count, dtype=int)
    held = []
    for kind in numpy.unique(kinds):
        rows = generator.permutation(numpy.flatnonzero(kinds == kind))
        held.append(rows[: max(round(len(rows) * share), 1 if len(rows) > 1 else 0)])
    test = numpy.sort(numpy.concatenate(held))
    train = numpy.setdiff1d(numpy.arange(count), test)
    if not len(test) or not len(train):
        raise BadData(f"{count} images are too few to train on and to judge by", cure="Give more, or `test_images`")
    return train, test
