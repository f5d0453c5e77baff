"""A plan and the model that it stands for: compared before the first answer and again and again after it."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import building, hints, portable, probes
from .comparing import TOLERANCE, Disagreement, difference
from .steps import Inputs, NotPlanned, OutOfPlan

# Of the scorer's time that comparing live answers may take.
SHARE = 0.002

Native = Callable[[List[Any], int], Any]


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
        self._shown: List[Any] = []
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

    def write(self, path: str) -> str:
        """The plan into a file, for a process without the model: why not, or '' when it is there."""
        if self._plan is None:
            return self.why
        try:
            self._write(path)
            return ""
        except (NotPlanned, OSError) as error:
            return str(error)

    def _write(self, path: str) -> None:
        portable.write(path, self._plan.chain, self._shown)

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
            self._shown = [(table, expected)]
            for row in range(probes.ALONE):
                alone = [[column[row]] for column in table]
                self._shown.append((alone, self._native(alone, 1)))
        self.largest = max(difference(plan.run(columns), answer) for columns, answer in self._shown)
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
