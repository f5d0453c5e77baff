"""The answer of a judgement: passed, failed, or not checked (which never counts as passed), with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


def passed(*reasons: str) -> Verdict:
    return Verdict(Outcome.PASSED, reasons)


def failed(*reasons: str) -> Verdict:
    return Verdict(Outcome.FAILED, reasons)


def not_checked(*reasons: str) -> Verdict:
    return Verdict(Outcome.NOT_CHECKED, reasons)
