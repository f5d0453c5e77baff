"""The tasks' standard metrics, from a table of counts: true class by row, predicted class by column."""

from __future__ import annotations

from typing import Any

import numpy

# In a mask: belongs to no class, and is not judged (as in Pascal VOC and Cityscapes).
IGNORED = 255


def confusion(truth: numpy.ndarray, predicted: numpy.ndarray, classes: int) -> numpy.ndarray:
    """Counts of shape ``(classes, classes)``. ``truth`` and ``predicted``: whole numbers of one shape."""
    judged = truth != IGNORED
    pairs = truth[judged].astype(numpy.int64) * classes + predicted[judged].astype(numpy.int64)
    return numpy.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def classification(counts: numpy.ndarray) -> dict[str, float]:
    """``accuracy``; ``macro_f1``: the mean of F1 over classes that are in the truth or in the predictions."""
    right, true, said = numpy.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    there = (true + said) > 0
    f1 = 2 * right[there] / (true + said)[there]
    return {"accuracy": _share(right.sum(), counts.sum()), "macro_f1": float(f1.mean()) if there.any() else 0.0}


def segmentation(counts: numpy.ndarray) -> dict[str, float]:
    """``miou``: the mean intersection over union of classes that are in the truth or in the predictions;
    ``pixel_accuracy``."""
    found = [each for each in unions(counts) if each is not None]
    right = numpy.diag(counts).sum()
    return {"miou": sum(found) / len(found) if found else 0.0, "pixel_accuracy": _share(right, counts.sum())}


def unions(counts: numpy.ndarray) -> list[float | None]:
    """Intersection over union of each class; None for one that is neither in the truth nor in the predictions."""
    right = numpy.diag(counts)
    union = counts.sum(axis=1) + counts.sum(axis=0) - right
    return [float(hit / whole) if whole else None for hit, whole in zip(right, union, strict=True)]


def majority(counts: numpy.ndarray, most: int) -> numpy.ndarray:
    """The counts that always saying class ``most`` would have."""
    made = numpy.zeros_like(counts)
    made[:, most] = counts.sum(axis=1)
    return made


def per_class(counts: numpy.ndarray, labels: list[str]) -> list[dict[str, Any]]:
    """A row a class: how often it is there, precision, recall, F1 and intersection over union (None: undefined)."""
    rows = []
    for at, label in enumerate(labels):
        right, true, said = int(counts[at, at]), int(counts[at].sum()), int(counts[:, at].sum())
        rows.append(
            {
                "label": label, "count": true,
                "precision": right / said if said else None, "recall": right / true if true else None,
                "f1": 2 * right / (true + said) if true + said else None, "iou": unions(counts)[at],
            }
        )  # fmt: skip
    return rows


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0
