"""unit_tests: whether the project's own tests pass in the environment the candidate was trained in.

``parse`` reads a JUnit report (pytest's ``--junitxml``), ``judge`` decides. The exit code alone is never enough:
a command that prints nothing and ends with 0 has tested nothing.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors, verdicts

MAX_REPORT = 32 << 20
NAMED = 20


def parse(report: bytes) -> dict[str, Any]:
    """``{"tests", "failures", "errors", "skipped", "failing": [names]}`` of a JUnit report, counted case by case.

    The report comes from the user's environment, so it is not trusted: no document type (entities could make it
    grow without end), a size limit, and the counts that it claims are ignored. Raises InvalidInput.
    """
    if len(report) > MAX_REPORT:
        raise errors.InvalidInput(f"The test report has {len(report)} bytes, over {MAX_REPORT}")
    if b"<!DOCTYPE" in report or b"<!ENTITY" in report:
        raise errors.InvalidInput("The test report declares a document type, which is not read")
    try:
        root = ET.fromstring(report)
    except ET.ParseError as error:
        raise errors.InvalidInput(f"The test report is not XML: {error}") from error
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    failing: list[str] = []
    for case in root.iter("testcase"):
        counts["tests"] += 1
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "")
        if outcome:
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[outcome]] += 1
        if outcome in ("failure", "error"):
            failing.append("::".join(part for part in (case.get("classname"), case.get("name")) if part))
    return {**counts, "failing": failing[:200]}


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``measurements``: ``exit_code`` (None when killed), ``reason``, ``report`` (of ``parse``, or None)."""
    against = []
    code, report = measurements.get("exit_code"), measurements.get("report")
    if code != 0:
        how = f"ended with exit code {code}" if code is not None else f"did not end: {measurements.get('reason')}"
        against.append(f"'{check.get('command', 'pytest')}' {how}{_meaning(code)}")
    if report is None:
        against.append("it left no test report, so nothing shows that a test ran; the command must run pytest")
        return verdicts.failed(*against)
    ran = report["tests"] - report["skipped"]
    failing = report["failures"] + report["errors"]
    if ran <= 0:
        against.append(f"no test ran ({report['tests']} collected, {report['skipped']} skipped)")
    if failing:
        names = ", ".join(report["failing"][:NAMED])
        against.append(f"{failing} of {ran} tests failed: {names}" + (" …" if failing > NAMED else ""))
    if against:
        return verdicts.failed(*against)
    skipped = f", {report['skipped']} skipped" if report["skipped"] else ""
    return verdicts.passed(f"{ran} tests passed{skipped}")


def _meaning(code: int | None) -> str:
    """pytest's documented exit codes, https://docs.pytest.org/en/stable/reference/exit-codes.html"""
    words = {2: "interrupted", 3: "an internal error of pytest", 4: "wrong usage of pytest", 5: "no tests collected",
             126: "the command cannot be executed", 127: "the command was not found"}  # fmt: skip
    return f" ({words[code]})" if code in words else ""
