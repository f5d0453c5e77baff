"""scan: whether a model's files hold unsafe code, and its environment packages with known vulnerabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import verdicts

SEVERITIES = ("low", "medium", "high", "critical")
NAMED = 20


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: model, packages (booleans), severity, allow (advisory ids). ``measurements``: ``model``
    {files, findings: [{file, what}]} and ``packages`` {checked, reason, count, findings: [{package, version, id,
    severity, summary}]}, each None when it was not asked for.

    Without a database of advisories the packages count as not checked: the check then passes for the model's files
    alone, says so, and is not checked at all when the packages were all that was asked for.
    """
    against: list[str] = []
    notes: list[str] = []
    unchecked: list[str] = []
    model, packages = measurements.get("model"), measurements.get("packages")
    if check.get("model", True) and model is not None:
        against += [f"{each['file']}: {each['what']}" for each in model["findings"][:NAMED]]
        notes.append(f"{model['files']} model files hold no unsafe code")
    elif check.get("model", True):
        against.append("the model's files were not looked at")
    if check.get("packages", True):
        if packages is None or not packages["checked"]:
            unchecked.append(f"packages were not checked: {(packages or {}).get('reason', 'no scan was made')}")
        else:
            bad, spared = _advisories(check, packages["findings"])
            against += bad
            notes.append(f"{packages['count']} packages, none with a known vulnerability that counts")
            notes += spared
    if against:
        return verdicts.failed(*against)
    if unchecked and not check.get("model", True):
        return verdicts.not_checked(*unchecked)
    return verdicts.passed(*notes, *unchecked)


def _severity(finding: Mapping[str, Any]) -> str:
    """GitHub's advisories say moderate; a CVSS vector alone is no word, so it stays unknown."""
    word = str(finding.get("severity") or "").lower()
    word = "medium" if word == "moderate" else word
    return word if word in SEVERITIES else ""


def _advisories(check: Mapping[str, Any], findings: list[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What counts and what does not. An advisory without a severity counts: unknown is not harmless."""
    floor = SEVERITIES.index(check.get("severity") or "high")
    against, spared = [], []
    for each in findings:
        severity = _severity(each)
        said = f"{each['package']} {each['version']}: {each['id']} ({severity or 'severity unknown'})"
        if each["id"] in (check.get("allow") or []) or set(each.get("aliases", ())) & set(check.get("allow") or []):
            spared.append(f"{said} is allowed by the definition")
        elif severity in SEVERITIES and SEVERITIES.index(severity) < floor:
            spared.append(f"{said} is below {SEVERITIES[floor]}")
        else:
            against.append(said)
    return against, spared
