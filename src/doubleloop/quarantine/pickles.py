"""Scanning model files: every pickle in a folder, however it is packed, judged name by name without loading it.

``scan`` looks at content, not at names: a pickle is found under any extension, inside zip, tar and compressed files,
and as objects in ``.npy``. What cannot be looked into is a finding, never silence.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from doubleloop.base import errors
from doubleloop.quarantine import allowlist, machine, skops, unpacking
from doubleloop.quarantine.model import Finding, Policy, Severity
from doubleloop.quarantine.reading import CHUNK, Budget, Malformed, Readable, Source, TooMuch

DEFAULT_LIMIT = 256 * 2**30  # bytes unpacked per scanned file
_DEEPEST = 6
_MOST_MEMBERS = 200_000
_SPOOLED = 16 * 2**20
_LARGEST_SCHEMA = 256 * 2**20

_PICKLE_NAMES = (".pkl", ".pickle", ".joblib", ".pck", ".pcl", ".p", ".pt", ".pth", ".dill", ".cloudpickle")
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_STORAGE = re.compile(r"!(?:.*/)?data/\d+$|!(?:.*/)?\.data/serialization_id$")
_PICKLE_START = re.compile(rb"\x80[\x00-\x05]")
_NPY_HEADER = {1: 2, 2: 4, 3: 4}


@dataclass
class _Scan:
    """One scanned file and what is in it."""

    policy: Policy
    budget: Budget
    findings: list[Finding] = field(default_factory=list)

    def note(self, file: str, why: str, severity: Severity = Severity.HIGH) -> None:
        self.findings.append(Finding(file, "", 0, severity, why))


# Opens the same bytes from their beginning, as often as needed.
Opener = Callable[[], contextlib.AbstractContextManager[Readable]]


def scan(target: Path | str | bytes, policy: Policy | None = None, limit: int = DEFAULT_LIMIT) -> list[Finding]:
    """Findings in a file, a folder with all that is in it, or in bytes; in the order of the file names.

    ``limit`` bounds the bytes unpacked per file. Raises NotFound when there is nothing at the path.
    """
    policy = policy or Policy()
    if isinstance(target, bytes):
        return _scan_one("", lambda: contextlib.nullcontext(io.BytesIO(target)), policy, limit)
    root = Path(target)
    if not root.exists():
        raise errors.NotFound(f"nothing to scan at {root}", cure="Give the model's folder or file.")
    if root.is_file():
        return _scan_path(root, root.name, policy, limit)
    return _scan_folder(root, policy, limit)


def _scan_folder(root: Path, policy: Policy, limit: int) -> list[Finding]:
    findings: list[Finding] = []
    inside = root.resolve()
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unreadable.append):
        folders.sort()
        for name in sorted([*files, *(link for link in folders if (Path(folder) / link).is_symlink())]):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink():
                if not path.resolve().is_relative_to(inside):
                    why = "is a link to something outside of the model"
                    findings.append(Finding(relative, "", 0, Severity.HIGH, why))
                continue  # what it points to inside the folder is scanned under its own name
            findings.extend(_scan_path(path, relative, policy, limit))
    for problem in unreadable:
        why = f"cannot be read: {problem.strerror}"
        findings.append(Finding(os.path.relpath(problem.filename, root), "", 0, Severity.HIGH, why))
    return findings


def _scan_path(path: Path, name: str, policy: Policy, limit: int) -> list[Finding]:
    if not stat.S_ISREG(path.stat().st_mode):
        return [Finding(name, "", 0, Severity.HIGH, "is neither a file nor a folder")]
    try:
        return _scan_one(name, lambda: path.open("rb"), policy, limit)
    except OSError as problem:
        return [Finding(name, "", 0, Severity.HIGH, f"cannot be read: {problem.strerror or problem}")]


def _scan_one(name: str, opener: Opener, policy: Policy, limit: int) -> list[Finding]:
    current = _Scan(policy, Budget(limit))
    _look(current, name, opener, 0)
    return current.findings


def _look(current: _Scan, name: str, opener: Opener, depth: int) -> None:
    """Everything one stream may be, tried on its content."""
    if depth > _DEEPEST:
        current.note(name, "is packed deeper than a scan follows")
        return
    try:
        with opener() as stream:
            head = Source(stream, current.budget).peek(512)
        _dispatch(current, name, opener, head, depth)
    except Malformed as problem:
        current.note(name, f"could not be looked into: {problem}")
    except TooMuch as problem:
        current.note(name, f"is too large to be looked into: {problem}")


def _dispatch(current: _Scan, name: str, opener: Opener, head: bytes, depth: int) -> None:
    packed = unpacking.packing(head)
    closed = next((kind for magic, kind in unpacking.UNREADABLE if head.startswith(magic)), "")
    if head.startswith(b"\x93NUMPY"):
        _look_into_npy(current, name, opener)
    elif packed:
        _look_into_packed(current, name, opener, packed, depth)
    elif closed:
        current.note(name, f"is packed with {closed}, which cannot be opened here; save it with zlib, gzip or none")
    elif head[257:262] == b"ustar":
        _look_into_tar(current, name, opener, depth)
    elif not head.startswith(b"PK\x03\x04"):
        _look_for_pickles(current, name, opener, head)
    if depth == 0 or head.startswith(b"PK"):
        _look_into_zip(current, name, opener, head, depth)


# --- pickles -----------------------------------------------------------------------------------------------------


def _look_for_pickles(current: _Scan, name: str, opener: Opener, head: bytes) -> None:
    said = name.lower().endswith(_PICKLE_NAMES)
    if not head or _is_safetensors(head):
        if said:
            current.note(name, "is called a pickle, but is empty" if not head else "is called a pickle, but is none")
        return
    starts = _PICKLE_START.match(head) is not None
    report = machine.Report(name, current.policy)
    problem = _walk_all(current, opener, report)
    sure = said or name == "" or starts
    if not sure and not _did_something(report, problem):
        return
    current.findings.extend(report.findings)
    if problem and not (starts and _TORCH_STORAGE.search(name) and not report.findings):
        current.note(name, f"could not be followed as a pickle: {problem}")
    if report.joblib_arrays:
        _look_as_others_would(current, opener, report)


def _did_something(report: machine.Report, problem: str) -> bool:
    """Whether bytes without any mark of a pickle act as one: they finish, name something and call it; or name
    something dangerous before they break off, which an unpickler would have imported by then."""
    if any(allowlist.is_dangerous(*found) for found in report.globals):
        return True
    proper = any(found.module.replace(".", "").isidentifier() for found in report.globals)
    return proper and (report.calls > 0 or not problem)


def _walk_all(current: _Scan, opener: Opener, report: machine.Report) -> str:
    """Walks pickle after pickle; gives the reason why it had to stop before the end, if it had to."""
    with opener() as stream:
        source = Source(stream, current.budget)
        last, count = None, 0
        try:
            while not source.at_end():
                if count and not _PICKLE_START.match(source.peek(2)):
                    _note_rest(report, source, last)
                    return ""
                value = machine.Machine(source, report).run()
                last = last if last == _TORCH_MAGIC else value
                count += 1
        except (Malformed, TooMuch) as problem:
            return str(problem) if count == 0 or report.file == "" else f"after {count} pickles {problem}"
    return ""


def _note_rest(report: machine.Report, source: Source, first: object) -> None:
    if first != _TORCH_MAGIC:  # torch's old format: raw tensors follow the pickles
        report.note(source.position, Severity.MEDIUM, "holds more bytes after its pickle ends")


def _look_as_others_would(current: _Scan, opener: Opener, report: machine.Report) -> None:
    """The bytes of joblib's arrays are opcodes to plain pickle, and begin elsewhere for old joblib. In an honest file
    they make no sense; what names something there was put there."""
    known = {finding.global_name for finding in report.findings}
    for reader in (machine.Reader.PLAIN, machine.Reader.OLD_JOBLIB):
        other = machine.Report(report.file, current.policy)
        with opener() as stream, contextlib.suppress(Malformed, TooMuch):
            machine.Machine(Source(stream, current.budget), other, reader).run()
        for finding in other.findings:
            if re.fullmatch(r"[A-Za-z_][\w.]*\.\w+", finding.global_name) and finding.global_name not in known:
                known.add(finding.global_name)
                why = f"{finding.why}; hidden in an array's bytes, seen when {reader.value} loads the file"
                current.findings.append(
                    Finding(finding.file, finding.global_name, finding.position, Severity.HIGH, why)
                )


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then JSON: a format without code."""
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 * 2**20


# --- containers --------------------------------------------------------------------------------------------------


def _look_into_npy(current: _Scan, name: str, opener: Opener) -> None:
    with opener() as stream:
        source = Source(stream, current.budget)
        source.skip(6)
        width = _NPY_HEADER.get(source.exactly(2)[0])
        if width is None:
            raise Malformed("it is of an unknown .npy version")
        size = int.from_bytes(source.exactly(width), "little")
        if size > 2**20:
            raise Malformed("its .npy header is longer than any")
        if not _holds_objects(source.exactly(size)):
            return
        report = machine.Report(name, current.policy)
        try:
            machine.Machine(source, report, machine.Reader.PLAIN).run()
        except (Malformed, TooMuch) as problem:
            report.note(source.position, Severity.HIGH, f"could not be followed as a pickle: {problem}")
        current.findings.extend(report.findings)


def _holds_objects(header: bytes) -> bool:
    try:
        described = ast.literal_eval(header.decode("latin-1").strip())
        return "O" in str(described["descr"])
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError) as problem:
        raise Malformed("its .npy header cannot be read") from problem


def _look_into_packed(current: _Scan, name: str, opener: Opener, packed: str, depth: int) -> None:
    @contextlib.contextmanager
    def unpacked() -> Iterator[Readable]:
        with opener() as stream:
            yield unpacking.unpack(Source(stream, current.budget), packed)

    before = len(current.findings)
    _look(current, name, unpacked, depth + 1)
    only = current.findings[before:]
    # zlib's mark is two bytes, which any other file may begin with by chance.
    chance = packed == "zlib" and len(only) == 1 and only[0].why.endswith(unpacking.BROKEN)
    if chance and not name.lower().endswith(_PICKLE_NAMES):
        current.findings.pop()


def _look_into_zip(current: _Scan, name: str, opener: Opener, head: bytes, depth: int) -> None:
    """Also when the zip only begins later: its directory stands at the end, and loaders look there."""
    with _seekable(opener, current) as stream:
        if not head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(stream):
            if head.startswith(b"PK"):
                current.note(name, "begins as a zip, but is none")
            return
        try:
            with zipfile.ZipFile(stream) as archive:
                _look_into_members(current, name, archive, depth)
        except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, ValueError) as problem:
            current.note(name, f"is a zip that cannot be opened: {problem}")


def _look_into_members(current: _Scan, name: str, archive: zipfile.ZipFile, depth: int) -> None:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        current.note(name, f"holds more than {_MOST_MEMBERS} members")
        return
    if len({member.filename for member in members}) < len(members):
        current.note(name, "holds two members of one name, of which each loader may take another")
    for member in members:
        if member.is_dir():
            continue
        inner = f"{name}!{member.filename}"
        if member.flag_bits & 0x1:
            current.note(inner, "is encrypted")
            continue
        if member.filename == "schema.json":
            _look_into_schema(current, inner, archive, member)
        if member.filename == "config.json":
            _look_for_lambdas(current, inner, archive, member)
        _look_into_member(current, inner, archive, member, depth)


def _look_into_member(
    current: _Scan, inner: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int
) -> None:
    try:
        _look(current, inner, lambda: archive.open(member), depth + 1)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, OSError) as problem:
        # Some loaders do not check what Python's zipfile checks, so this may still load there.
        current.note(inner, f"cannot be opened: {problem}")


def _look_into_schema(current: _Scan, inner: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.file_size > _LARGEST_SCHEMA:
        current.note(inner, "is larger than a skops schema can be")
        return
    current.findings.extend(skops.check(archive.read(member), inner, current.policy))


def _look_for_lambdas(current: _Scan, inner: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """A Keras archive may carry Python bytecode in a Lambda layer."""
    if member.file_size > _LARGEST_SCHEMA:
        current.note(inner, "is larger than a Keras configuration can be")
        return
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(archive.read(member)), separators=(",", ":"))
        if '"class_name":"Lambda"' in text or '"class_name":"__lambda__"' in text:
            severity = Severity.LOW if current.policy.allow_code else Severity.HIGH
            current.note(inner, "is a Keras model with a Lambda layer, which carries code", severity)


def _look_into_tar(current: _Scan, name: str, opener: Opener, depth: int) -> None:
    with _seekable(opener, current) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for count, member in enumerate(archive):
                    if count >= _MOST_MEMBERS:
                        current.note(name, f"holds more than {_MOST_MEMBERS} members")
                        return
                    inner = f"{name}!{member.name}"
                    if member.isfile():
                        _look(current, inner, _member_opener(archive, member), depth + 1)
                    elif not member.isdir():
                        current.note(inner, "is a link or device inside an archive")
        except (tarfile.TarError, EOFError, ValueError) as problem:
            current.note(name, f"is a tar that cannot be opened: {problem}")


def _member_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Opener:
    def opened() -> contextlib.AbstractContextManager[Readable]:
        stream = archive.extractfile(member)
        if stream is None:
            raise Malformed("it is no file")
        return stream

    return opened


@contextlib.contextmanager
def _seekable(opener: Opener, current: _Scan) -> Iterator[BinaryIO]:
    """The stream itself when it can seek; otherwise a copy on disk, within the budget."""
    with opener() as stream:
        if isinstance(stream, io.IOBase) and stream.seekable():
            yield stream  # type: ignore[misc]
            return
        with tempfile.SpooledTemporaryFile(_SPOOLED) as copy:
            source = Source(stream, current.budget)
            while part := source.read(CHUNK):
                copy.write(part)
            copy.seek(0)
            yield copy  # type: ignore[misc]
