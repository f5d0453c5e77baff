"""What intake scanning says: findings with a place and a reason, and the policy they are judged by."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from doubleloop.base import verdicts


class Severity(StrEnum):
    LOW = "low"  # worth knowing; does not fail a scan
    MEDIUM = "medium"  # not on the allow-list
    HIGH = "high"  # known to run code, or could not be looked into


BLOCKING = frozenset({Severity.MEDIUM, Severity.HIGH})


@dataclass(frozen=True)
class Finding:
    """One thing in one file. ``file`` is relative to what was scanned; members of archives follow ``!``.
    ``global_name`` is ``module.name``, or empty when the finding is about the file. ``position`` is the byte in the
    (unpacked) stream."""

    file: str
    global_name: str
    position: int
    severity: Severity
    why: str

    def __str__(self) -> str:
        subject = f" {self.global_name}" if self.global_name else ""
        return f"{self.severity}: {self.file} at {self.position}:{subject} {self.why}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "global_name": self.global_name,
            "position": self.position,
            "severity": self.severity.value,
            "why": self.why,
        }


@dataclass(frozen=True)
class Policy:
    """What a workspace allows beyond the built-in list. ``allow`` holds ``module.name`` with ``*`` as wildcard; a
    name known to be dangerous is allowed only when written out in full. ``allow_code`` accepts functions and classes
    that cloudpickle carries by value: such a model can do anything when it is loaded."""

    allow: tuple[str, ...] = ()
    allow_code: bool = False

    def allows(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.allow)

    def names(self, name: str) -> bool:
        return name in self.allow


def judge(findings: Iterable[Finding]) -> verdicts.Verdict:
    """Passed when nothing blocks; else failed, each blocking finding a reason."""
    blocking = [str(finding) for finding in findings if finding.severity in BLOCKING]
    return verdicts.failed(*blocking) if blocking else verdicts.passed("no unsafe pickle found")
