"""A plan and the model that it stands for: compared before the first answer and again and again after it."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy

from . import building, hints, probes
from .steps import Inputs, NotPlanned, OutOfPlan

# |plan - model| / max(1, |model|) that counts as the same number; labels must be equal.
TOLERANCE = 1e-9
# Of the scorer's time that comparing live answers may take.
SHARE = 0.002

Native = Callable[[List[Any], int], Any]


class Disagreement(Exception):
    """A plan and its model gave different answers."""

    def __init__(self, what: str, difference: float) -> None:
        super().__init__(what)
        self.difference = difference


class Guarded:
    """``native(columns, rows)`` asks the model itself; ``why`` says why there is no plan (any more)."""

    def __init__(self, model: Any, specs: Sequence[Dict[str, Any]], method: str, native: Native) -> None:
        self._native = native
        self._plan: Any = None
        self.tolerance = TOLERANCE
        self.why = ""
        self.rows = 0
        self.largest = 0.0
        self._next_review = 0.0
        try:
            self._plan = self._proved(model, specs, method)
        except NotPlanned as error:
            self.why = str(error)
        except Disagreement as error:
            self.why = "it does not agree with the model: %s" % error
            self.largest = error.difference
        except Exception as error:  # the inside of another version of the library
            self.why = "it could not be made: %s: %s" % (type(error).__name__, error)

    @property
    def used(self) -> bool:
        return self._plan is not None

    def describe(self) -> Dict[str, Any]:
        return {
            "used": self.used, "why": self.why, "probed_rows": self.rows, "largest_difference": self.largest,
            "tolerance": self.tolerance, "trees": None if self._plan is None else self._plan.trees,
        }  # fmt: skip

    def predict(self, columns: List[Any], rows: int) -> Any:
        found = self.planned(columns)
        return self._native(columns, rows) if found is None else found

    def planned(self, columns: List[Any]) -> Any:
        """The plan's own answer; None when there is no plan (any more) or it does not cover these rows."""
        if self._plan is None:
            return None
        try:
            return self._plan.run(columns)
        except Exception:  # out of the plan, or wrong: the model itself says so, if anything is wrong
            return None

    def review(self, columns: List[Any], rows: int, answer: Any) -> Optional[Dict[str, Any]]:
        """Compare an answer that was given with the model's own, if it is time for that again.

        What was wrong, as a record, or None. After a disagreement the model answers all that follows.
        """
        started = time.perf_counter()
        if self._plan is None or started < self._next_review:
            return None
        try:
            largest = difference(answer, self._native(columns, rows), self.tolerance)
        except Disagreement as error:
            self._plan, self.why = None, "it did not agree with the model on a request: %s" % error
            return {"why": str(error), "difference": error.difference}
        except Exception:  # the plan answered where the model cannot
            self._plan, self.why = None, "it answered a request that the model itself refuses"
            return {"why": self.why, "difference": None}
        self.largest = max(self.largest, largest)
        took = time.perf_counter() - started
        self._next_review = started + took / SHARE
        return None

    def compare(self, columns: List[Any], rows: int) -> Optional[str]:
        """What is wrong with the plan's answer for these rows; None when it is right, or the model's to give."""
        assert self._plan is not None
        try:
            found = self._plan.run(columns)
        except OutOfPlan:
            return None
        try:
            self.largest = max(self.largest, difference(found, self._native(columns, rows), self.tolerance))
        except Disagreement as error:
            self.largest = max(self.largest, error.difference)
            return str(error)
        return None

    def _proved(self, model: Any, specs: Sequence[Dict[str, Any]], method: str) -> building.Plan:
        inputs = Inputs(specs)
        plan = building.build(model, inputs, method)
        if not plan.saves:
            raise NotPlanned("the model is called as directly as a plan would")
        optional = [not spec.get("required", True) for spec in specs]
        known = hints.of(model, inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table, expected = self._probed(inputs, optional, known)
            self.largest = difference(plan.run(table), expected)
            for row in range(probes.ALONE):
                alone = [[column[row]] for column in table]
                self.largest = max(self.largest, difference(plan.run(alone), self._native(alone, 1)))
        self.rows = probes.ROWS
        return plan

    def _probed(self, inputs: Inputs, optional: Sequence[bool], known: probes.Known) -> Any:
        """Rows and the model's own answers; a model that refuses unknown categories is asked about known ones."""
        for unknown in (True, False):
            table = probes.table(inputs, optional, known, unknown)
            try:
                return table, self._native(table, probes.ROWS)
            except Exception:
                if not unknown:
                    raise
        raise AssertionError("unreachable")


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
