"""What a network is worth on images that it has not seen: as a whole, and on slices of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from . import corruptions, measures
from .preparing import Arrays

Predict = Callable[[numpy.ndarray], numpy.ndarray]
# Of the five, these are looked at.
SEVERITIES = (1, 3, 5)
TERCILES = ("dark", "middle", "bright")


def metrics(counts: numpy.ndarray, segments: bool) -> dict[str, float]:
    return measures.segmentation(counts) if segments else measures.classification(counts)


def brightness(images: numpy.ndarray) -> numpy.ndarray:
    """The mean of all values, 0 to 1."""
    return images.reshape(len(images), -1).mean(axis=1) / 255.0


def slices(data: Arrays, predict: Predict, classes: int, segments: bool, most: int) -> list[dict[str, Any]]:
    """A row a slice: terciles of brightness, groups of the table's columns, and corruptions (of the first ``most``
    images) by kind and severity. Columns: slice, value, severity, rows, and the metrics."""
    said = predict(data.images)
    found = [_row("all", "", None, data.targets, said, classes, segments)]
    light = brightness(data.images)
    edges = numpy.quantile(light, [1 / 3, 2 / 3])
    terciles = numpy.array(TERCILES)[numpy.searchsorted(edges, light, side="left")]
    for name, values in (("brightness", terciles), *((each, numpy.array(of)) for each, of in data.groups.items())):
        for value in TERCILES if name == "brightness" else sorted(set(values.tolist())):
            rows = values == value
            if rows.any():
                found.append(_row(name, value, None, data.targets[rows], said[rows], classes, segments))
    some = data.rows(numpy.arange(min(most, len(data))))
    for kind in corruptions.KINDS if len(some) else ():
        for severity in SEVERITIES:
            worse = corruptions.corrupted(some.images, kind, severity)
            found.append(_row("corruption", kind, severity, some.targets, predict(worse), classes, segments))
    return found


def _row(
    name: str, value: str, severity: int | None, truth: numpy.ndarray, said: numpy.ndarray, classes: int, segments: bool
) -> dict[str, Any]:
    counts = measures.confusion(truth, said, classes)
    return {"slice": name, "value": value, "severity": severity, "rows": len(truth), **metrics(counts, segments)}


def flat(rows: list[dict[str, Any]], names: list[str]) -> dict[str, float]:
    """Metrics of slices under one name each: ``miou.corruption.noise.3``; and, for each metric, the mean over all
    corruptions and the worst tercile of brightness."""
    found: dict[str, float] = {}
    for row in rows[1:]:
        place = ".".join(str(part) for part in (row["slice"], row["value"], row["severity"]) if part not in (None, ""))
        found.update({f"{name}.{place}": row[name] for name in names})
    for name in names:
        worse = [row[name] for row in rows if row["slice"] == "corruption"]
        light = [row[name] for row in rows if row["slice"] == "brightness"]
        if worse:
            found[f"{name}.corrupted"] = float(numpy.mean(worse))
        if light:
            found[f"{name}.worst_brightness"] = min(light)
    return found
