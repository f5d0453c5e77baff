"""Whether two answers are the same."""

from __future__ import annotations

from typing import Any, Dict

import numpy

# |plan - model| / max(1, |model|) that counts as the same number; labels must be equal.
TOLERANCE = 1e-9


class Disagreement(Exception):
    """A plan and its model gave different answers."""

    def __init__(self, what: str, difference: float) -> None:
        super().__init__(what)
        self.difference = difference


def difference(plan: Any, model: Any, tolerance: float = TOLERANCE) -> float:
    """The largest |plan - model| / max(1, |model|). Raises Disagreement above the tolerance, for another shape or
    label."""
    found, expected = arrays(plan), arrays(model)
    if found.keys() != expected.keys():
        raise Disagreement("outputs %s, not %s" % (", ".join(found), ", ".join(expected)), float("inf"))
    return max([_gap(found[name], expected[name], tolerance) for name in expected], default=0.0)


def arrays(answer: Any) -> Dict[str, Any]:
    """An answer by the names of its outputs: a frame or a list of records has columns, an array has none."""
    if hasattr(answer, "iloc") and hasattr(answer, "columns"):
        return {str(name): answer[name].to_numpy() for name in answer.columns}
    if isinstance(answer, dict):
        return {str(name): numpy.asarray(part) for name, part in answer.items()}
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        return {str(name): numpy.asarray([row[name] for row in answer]) for name in answer[0]}
    return {"": numpy.asarray(answer)}


def _gap(found: Any, expected: Any, tolerance: float) -> float:
    if found.shape != expected.shape:
        raise Disagreement("shape %s, not %s" % (found.shape, expected.shape), float("inf"))
    if expected.dtype.kind not in "fiu":
        if not numpy.all(found == expected):
            raise Disagreement("other labels", float("inf"))
        return 0.0
    if not expected.size:
        return 0.0
    found, expected = numpy.atleast_1d(found), numpy.atleast_1d(expected)
    same = (found == expected) | (numpy.isnan(found) & numpy.isnan(expected))
    gaps = numpy.where(same, 0.0, abs(found - expected) / numpy.maximum(1.0, abs(expected)))
    largest = float(numpy.nan_to_num(gaps, nan=numpy.inf).max())
    if largest > tolerance:
        where = int(gaps.reshape(len(gaps), -1).max(axis=1).argmax())
        raise Disagreement("row %d: %s, not %s" % (where, found[where], expected[where]), largest)
    return largest
