"""Known vulnerabilities of pinned packages, from a local copy of OSV advisories for PyPI; no network.

The database is a folder of JSON files, the ``all.zip`` that OSV publishes, or one JSON file (an advisory, or a list).
Matching follows the OSV schema (https://ossf.github.io/osv-schema/, "Evaluation"): a version is affected when it is
listed, or lies in an ECOSYSTEM range, compared as PEP 440 has it. What could not be compared is *not checked*.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from packaging import utils, version

from doubleloop.base import verdicts

_LARGEST = 64 * 2**20
_PACKAGE_ECOSYSTEM = "PyPI"
_COMPARABLE = ("ECOSYSTEM", "SEMVER")


@dataclass(frozen=True)
class Advisory:
    """One advisory that affects one package at one version. ``fixed`` holds the versions that mend it."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: str = ""
    fixed: tuple[str, ...] = ()

    def __str__(self) -> str:
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        cure = f"; fixed in {', '.join(self.fixed)}" if self.fixed else "; no fixed version is known"
        return f"{self.package} {self.version}: {self.id}{also} {self.summary}".rstrip() + cure

    def to_dict(self) -> dict[str, Any]:
        return {
            "package": self.package,
            "version": self.version,
            "id": self.id,
            "aliases": list(self.aliases),
            "summary": self.summary,
            "severity": self.severity,
            "fixed": list(self.fixed),
        }


@dataclass(frozen=True)
class Result:
    """``findings`` are advisories that apply; ``accepted`` those that the caller chose to live with."""

    verdict: verdicts.Verdict
    findings: tuple[Advisory, ...] = ()
    accepted: tuple[Advisory, ...] = ()


@dataclass
class Database:
    """Advisories by canonical package name, and what of the copy could not be read."""

    by_package: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    count: int = 0
    newest: str = ""
    problems: list[str] = field(default_factory=list)


class _CannotCompare(Exception):
    pass


def check(packages: Iterable[tuple[str, str]], database: Path | None, accept: Iterable[str] = ()) -> Result:
    """Advisories that apply to ``packages`` (name, version). ``accept`` names ids or aliases not to fail for.

    Failed when any applies. Not checked, with the reasons, when there is no database, a part of it cannot be read, or
    a version cannot be compared; passed only when every package was compared with all of it.
    """
    if database is None:
        return Result(verdicts.not_checked("there is no advisory database; name a folder or zip of OSV advisories"))
    wanted = list(packages)
    if not wanted:
        return Result(verdicts.not_checked("there are no packages to check"))
    known = load(database)
    if not known.count:
        reasons = known.problems or [f"{database} holds no advisories for {_PACKAGE_ECOSYSTEM}"]
        return Result(verdicts.not_checked(*reasons))
    accepted_ids = set(accept)
    findings: list[Advisory] = []
    accepted: list[Advisory] = []
    problems = list(known.problems)
    for name, pinned in wanted:
        applying, unclear = _applying(name, pinned, known)
        problems.extend(unclear)
        for advisory in applying:
            chosen = accepted_ids & {advisory.id, *advisory.aliases}
            (accepted if chosen else findings).append(advisory)
    return Result(_verdict(findings, problems, len(wanted), known), tuple(findings), tuple(accepted))


def _verdict(findings: list[Advisory], problems: list[str], packages: int, known: Database) -> verdicts.Verdict:
    if findings:
        return verdicts.failed(*map(str, findings), *problems)
    if problems:
        return verdicts.not_checked(*problems)
    upto = f", the newest of {known.newest}" if known.newest else ""
    return verdicts.passed(f"{packages} packages against {known.count} advisories{upto}: none applies")


def load(database: Path) -> Database:
    """The advisories of a folder, zip or file. Never raises for what is in it: that becomes ``problems``."""
    known = Database()
    try:
        for name, text in _documents(database, known):
            _add(known, name, text)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as problem:
        known.problems.append(f"the advisory database {database} cannot be read: {problem}")
    return known


def _documents(database: Path, known: Database) -> Iterator[tuple[str, bytes]]:
    if database.is_dir():
        for path in sorted(database.rglob("*.json")):
            yield str(path.relative_to(database)), path.read_bytes()
    elif not database.exists():
        known.problems.append(f"the advisory database {database} does not exist")
    elif zipfile.is_zipfile(database):
        with zipfile.ZipFile(database) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".json"):
                    continue
                if member.file_size > _LARGEST:
                    known.problems.append(f"{member.filename} is larger than an advisory can be")
                    continue
                yield member.filename, archive.read(member)
    else:
        yield database.name, database.read_bytes()


def _add(known: Database, name: str, text: bytes) -> None:
    try:
        read = orjson.loads(text)
        for advisory in read if isinstance(read, list) else [read]:
            _add_one(known, advisory)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as problem:
        known.problems.append(f"advisory {name} cannot be read: {problem!r}")


def _add_one(known: Database, advisory: Mapping[str, Any]) -> None:
    if not advisory["id"] or advisory.get("withdrawn"):
        return
    names = {
        utils.canonicalize_name(affected["package"]["name"])
        for affected in advisory.get("affected") or ()
        if str((affected.get("package") or {}).get("ecosystem", "")).split(":")[0] == _PACKAGE_ECOSYSTEM
    }
    for name in names:
        known.by_package.setdefault(name, []).append(advisory)
    known.count += bool(names)
    known.newest = max(known.newest, str(advisory.get("modified") or "")[:10])


def _applying(name: str, pinned: str, known: Database) -> tuple[list[Advisory], list[str]]:
    canonical = utils.canonicalize_name(name)
    advisories = known.by_package.get(canonical, [])
    try:
        # The local part (+cu121) says how it was built, not what is in it.
        current = version.Version(version.Version(pinned).public)
    except version.InvalidVersion:
        return [], [f"{name} {pinned or '(no version)'} is no PEP 440 version, so it cannot be compared"]
    found: list[Advisory] = []
    unclear: list[str] = []
    for advisory in advisories:
        try:
            if any(_affects(part, current) for part in _parts(advisory, canonical)):
                found.append(_describe(name, pinned, advisory, canonical))
        except _CannotCompare as problem:
            unclear.append(f"{name} {pinned}: {advisory['id']} cannot be compared ({problem})")
    return _merged(found), unclear


def _parts(advisory: Mapping[str, Any], canonical: str) -> Iterator[Mapping[str, Any]]:
    for affected in advisory.get("affected") or ():
        package = affected.get("package") or {}
        right = str(package.get("ecosystem", "")).split(":")[0] == _PACKAGE_ECOSYSTEM
        if right and utils.canonicalize_name(package["name"]) == canonical:
            yield affected


def _affects(affected: Mapping[str, Any], current: version.Version) -> bool:
    listed = affected.get("versions") or []
    if any(_same(one, current) for one in listed):
        return True
    ranges = affected.get("ranges") or []
    comparable = [one for one in ranges if one.get("type") in _COMPARABLE]
    if not comparable and not listed:
        if ranges:
            raise _CannotCompare("it names commits only")
        return True  # nothing is said about versions: all of them
    broken = ""
    for one in comparable:
        try:
            if _in_range(one.get("events") or [], current):
                return True
        except version.InvalidVersion as problem:
            broken = str(problem)
    if broken and not listed:
        raise _CannotCompare(broken)
    return False


def _same(listed: str, current: version.Version) -> bool:
    try:
        return version.Version(listed) == current
    except version.InvalidVersion:
        return listed == str(current)


def _in_range(events: Iterable[Mapping[str, str]], current: version.Version) -> bool:
    """OSV's rule: walk the events in the order of their versions, and see which state the version ends in."""
    moments: list[tuple[version.Version | None, str]] = []
    for event in events:
        for kind, text in event.items():
            if kind == "limit" and text == "*":
                continue
            moments.append((None if text == "0" else version.Version(text), kind))
    affected = False
    for at, kind in sorted(moments, key=_order):
        if kind == "introduced" and (at is None or current >= at):
            affected = True
        elif kind != "introduced" and _left_behind(kind, at, current):
            affected = False
    return affected


def _left_behind(kind: str, at: version.Version | None, current: version.Version) -> bool:
    """Whether ``current`` lies beyond the end of a range; the last affected version itself does not."""
    if at is None:
        return kind in ("fixed", "limit")
    return current > at if kind == "last_affected" else current >= at


def _order(moment: tuple[version.Version | None, str]) -> tuple[int, Any, int]:
    at, kind = moment
    later = {"introduced": 1, "fixed": 0, "limit": 0, "last_affected": 2}.get(kind, 3)
    return (0, 0, later) if at is None else (1, at, later)


def _describe(name: str, pinned: str, advisory: Mapping[str, Any], canonical: str) -> Advisory:
    fixed = {
        event["fixed"]
        for part in _parts(advisory, canonical)
        for one in part.get("ranges") or ()
        if one.get("type") in _COMPARABLE
        for event in one.get("events") or ()
        if "fixed" in event
    }
    summary = advisory.get("summary") or str(advisory.get("details") or "").strip().split("\n")[0]
    specific = advisory.get("database_specific") or {}
    severity = specific.get("severity") or next((one.get("score", "") for one in advisory.get("severity") or ()), "")
    aliases = tuple(sorted(advisory.get("aliases") or ()))
    return Advisory(
        name, pinned, advisory["id"], aliases, summary[:200], str(severity), tuple(sorted(fixed, key=_by_version))
    )


def _by_version(text: str) -> tuple[int, Any]:
    try:
        return 0, version.Version(text)
    except version.InvalidVersion:
        return 1, text


def _merged(found: Iterable[Advisory]) -> list[Advisory]:
    """One finding per flaw: databases repeat each other under their own ids and name the others as aliases."""
    groups: list[Advisory] = []
    for advisory in sorted(found, key=lambda one: one.id):
        names = {advisory.id, *advisory.aliases}
        same = [one for one in groups if names & {one.id, *one.aliases}]
        groups = [one for one in groups if one not in same]
        groups.append(_joined([*same, advisory]))
    return sorted(groups, key=lambda one: one.id)


def _joined(same: list[Advisory]) -> Advisory:
    first = same[0]
    aliases = {name for one in same for name in (one.id, *one.aliases)} - {first.id}
    return Advisory(
        first.package,
        first.version,
        first.id,
        tuple(sorted(aliases)),
        next((one.summary for one in same if one.summary), ""),
        next((one.severity for one in same if one.severity), ""),
        tuple(sorted({fixed for one in same for fixed in one.fixed}, key=_by_version)),
    )
