"""How well masks were found: class numbers of pixels, true and predicted, over all images together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from doubleloop.base import errors

# In a true mask: belongs to no class, and is not judged (as in Pascal VOC and Cityscapes).
IGNORED = 255
Mask = NDArray[np.uint8]


def counts(truth: Iterable[Mask], predicted: Iterable[Mask]) -> NDArray[np.int64]:
    """Pixels by true class (row) and predicted class (column), shape (256, 256). Raises InvalidInput for a pair of two
    sizes."""
    found = np.zeros(256 * 256, dtype=np.int64)
    for row, (true, said) in enumerate(zip(truth, predicted, strict=True)):
        if true.shape != said.shape:
            raise errors.InvalidInput(
                f"row {row}: the true mask has shape {true.shape}, the predicted one {said.shape}"
            )
        judged = true != IGNORED
        pairs = true[judged].astype(np.int64) * 256 + said[judged]
        found += np.bincount(pairs, minlength=256 * 256)
    return found.reshape(256, 256)


def miou(truth: Iterable[Mask], predicted: Iterable[Mask]) -> float:
    """The mean intersection over union of classes that are in the truth or in the predictions; 0 where nothing is
    judged (M. Everingham et al. 2010, *The Pascal Visual Object Classes Challenge*)."""
    table = counts(truth, predicted)
    right = np.diag(table)
    union = table.sum(axis=1) + table.sum(axis=0) - right
    there = union > 0
    return float((right[there] / union[there]).mean()) if there.any() else 0.0


def pixel_accuracy(truth: Iterable[Mask], predicted: Iterable[Mask]) -> float:
    """The share of judged pixels whose class is right."""
    table = counts(truth, predicted)
    return float(np.trace(table) / table.sum()) if table.any() else 0.0


METRICS = {"miou": miou, "pixel_accuracy": pixel_accuracy}
