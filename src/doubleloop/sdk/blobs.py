"""Bytes by their hash: asking what is missing, sending files, fetching files and folders."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from doubleloop.base import errors
from doubleloop.sdk import transport

# How many hashes one question may name.
ASK = 5000
_REFERENCE = re.compile(r"^(?P<kind>blob|tree):sha256:(?P<sha256>[0-9a-f]{64})(?:/(?P<below>.+))?$")

Progress = Callable[[str, int, int], None]
"""``progress(what, bytes done, bytes in all)``."""


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


@dataclass(frozen=True)
class Entry:
    """One file of a folder: POSIX path inside it, content hash, bytes, executable or not."""

    path: str
    sha256: str
    size: int
    executable: bool


class Blobs:
    def __init__(self, link: transport.Transport) -> None:
        self._link = link

    def missing(self, hashes: Iterable[str]) -> set[str]:
        """Those of ``hashes`` that the server does not have."""
        wanted = sorted(set(hashes))
        found: set[str] = set()
        for start in range(0, len(wanted), ASK):
            asked = {"sha256": wanted[start : start + ASK]}
            answer = self._link.json("POST", transport.path("blobs", "missing"), asked, repeatable=True)
            found.update(answer["missing"])
        return found

    def put(self, path: Path, sha256: str, size: int) -> None:
        """Send one file. Raises InvalidInput when it no longer has that hash."""
        headers = {"Content-Type": "application/octet-stream"}
        place = transport.path("blobs", sha256)
        if size == 0:
            # A length of 0 must be said: without a body http.client would leave it out for a stream.
            request = transport.Request("PUT", place, b"", None, headers, True)
        else:
            request = transport.Request("PUT", place, lambda: path.open("rb"), size, headers, True)
        try:
            self._link.send(request)
        except errors.InvalidInput as error:
            raise errors.InvalidInput(
                f"{path} was not taken: {error.what}", cure="If it is being written to, wait until it is complete."
            ) from error

    def put_tree(self, entries: Iterable[Entry]) -> str:
        """The hash of a folder whose files are there already."""
        body = {"entries": [[entry.path, entry.sha256, entry.size, entry.executable] for entry in entries]}
        answer = self._link.json("POST", transport.path("trees"), body, repeatable=True)
        return str(answer["sha256"])

    def tree(self, sha256: str) -> list[Entry]:
        body = self._link.json("GET", transport.path("trees", sha256))
        return [Entry(str(e[0]), str(e[1]), int(e[2]), bool(e[3])) for e in body["entries"]]

    def fetch(self, reference: str, target: Path, progress: Progress = silent, name: str = "") -> Path:
        """Lay ``blob:sha256:…`` or ``tree:sha256:…[/sub/path]`` at ``target``; returns the file or folder.

        A folder goes into ``target``, file by file: those that are there with the right content are kept, so a broken
        download goes on where it stopped. A blob becomes ``target`` itself, or ``target/name`` when ``target`` is a
        folder. Raises InvalidInput for another reference, NotFound, Unavailable.
        """
        match = _REFERENCE.match(reference)
        if match is None or (match["kind"] == "blob" and match["below"]):
            raise errors.InvalidInput(
                f"'{reference}' is not stored on the server", cure="Fetch it from where it is with its own tool."
            )
        if match["kind"] == "blob":
            place = target / (name or match["sha256"][:12]) if target.is_dir() else target
            self._fetch_files([(place, Entry(place.name, match["sha256"], -1, False))], progress)
            return place
        chosen = _below(self.tree(match["sha256"]), match["below"] or "")
        target.mkdir(parents=True, exist_ok=True)
        self._fetch_files([(_inside(target, path), entry) for path, entry in chosen], progress)
        return target

    def _fetch_files(self, files: list[tuple[Path, Entry]], progress: Progress) -> None:
        total = sum(max(entry.size, 0) for _, entry in files)
        done = 0
        for place, entry in files:
            progress(entry.path, done, total)
            if not _holds(place, entry):
                self._fetch_file(place, entry)
            done += max(entry.size, 0)
        progress("", done, total)

    def _fetch_file(self, place: Path, entry: Entry) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=place.parent, prefix=".incoming-")
        try:
            digest = hashlib.sha256()
            request = transport.Request("GET", transport.path("blobs", entry.sha256), repeatable=True)
            with os.fdopen(descriptor, "wb") as file, self._link.open(request) as stream:
                while chunk := stream.read(transport.CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != entry.sha256:
                raise errors.Unavailable(f"{entry.path} arrived damaged", cure="Run the command again.")
            os.chmod(beside, 0o755 if entry.executable else 0o644)
            os.replace(beside, place)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _holds(place: Path, entry: Entry) -> bool:
    return place.is_file() and entry.size in (-1, place.stat().st_size) and digest(place) == entry.sha256


def _below(entries: list[Entry], below: str) -> list[tuple[str, Entry]]:
    if not below:
        return [(entry.path, entry) for entry in entries]
    prefix = below.rstrip("/") + "/"
    chosen = [(entry.path[len(prefix) :], entry) for entry in entries if entry.path.startswith(prefix)]
    chosen += [(PurePosixPath(entry.path).name, entry) for entry in entries if entry.path == below]
    if not chosen:
        raise errors.NotFound(f"'{below}' is not in that folder")
    return chosen


def _inside(target: Path, path: str) -> Path:
    """``target/path``, refused when a server names a place outside."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise errors.InvalidInput(f"The server names '{path}', which is not inside the folder")
    return target.joinpath(*pure.parts)
