"""Blobs in a folder: ``blobs/ab/cd…``; written beside, synced, renamed, so that a name never means half a file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from doubleloop.base import canonical, errors
from doubleloop.storage import ports, rules

CHUNK = 1 << 20


class LocalBlobs:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def _place(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise errors.InvalidInput(f"'{sha256}' is not a SHA-256 in lower-case hex")
        return self._root / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        return self._place(sha256).exists()

    def path(self, sha256: str) -> Path:
        place = self._place(sha256)
        if not place.exists():
            raise errors.NotFound(f"No content is stored under {sha256[:12]}…", cure="Upload it first.")
        return place

    def read(self, sha256: str) -> bytes:
        return self.path(sha256).read_bytes()

    def put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.has(sha256):
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            self._adopt(Path(name), sha256)
        return sha256

    def put_file(self, path: Path) -> str:
        with path.open("rb") as stream:
            return self.put(stream)

    def put(self, stream: BinaryIO, expected: str | None = None) -> str:
        digest = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(descriptor, "wb") as file:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            sha256 = digest.hexdigest()
            if expected is not None and sha256 != expected:
                raise errors.InvalidInput(
                    f"The content's hash is {sha256[:12]}…, not {expected[:12]}… as announced",
                    cure="It was damaged on its way; send it again.",
                )
            self._adopt(Path(name), sha256)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return sha256

    def _adopt(self, incoming: Path, sha256: str) -> None:
        place = self._place(sha256)
        if place.exists():
            incoming.unlink()
            return
        place.parent.mkdir(exist_ok=True)
        with incoming.open("rb") as file:
            os.fsync(file.fileno())
        incoming.chmod(0o444)
        incoming.rename(place)

    def put_tree(self, folder: Path) -> ports.Tree:
        if not folder.is_dir():
            raise errors.NotFound(f"There is no folder at {folder}")
        entries = []
        for path in _files(folder, folder.resolve(), ()):
            info = path.stat()
            if not stat.S_ISREG(info.st_mode):
                raise errors.InvalidInput(f"{path} is not a regular file (socket, pipe or device)")
            name = path.relative_to(folder).as_posix()
            if not _is_text(name):
                raise errors.InvalidInput(f"{name!r} is not UTF-8, so that it cannot be the name of a kept file")
            entries.append(ports.Entry(name, self.put_file(path), info.st_size, bool(info.st_mode & stat.S_IXUSR)))
        return self._put_entries(tuple(sorted(entries, key=lambda entry: entry.path)))

    def put_entries(self, entries: tuple[ports.Entry, ...]) -> ports.Tree:
        rules.check_entries(entries)
        for entry in entries:
            if not self.has(entry.sha256):
                raise errors.InvalidInput(f"'{entry.path}' names content that was not uploaded: {entry.sha256[:12]}…")
            size = self.path(entry.sha256).stat().st_size
            if entry.size != size:
                raise errors.InvalidInput(f"'{entry.path}' has {size} bytes, not {entry.size}")
        return self._put_entries(tuple(sorted(entries, key=lambda entry: entry.path)))

    def _put_entries(self, entries: tuple[ports.Entry, ...]) -> ports.Tree:
        body = [[entry.path, entry.sha256, entry.size, entry.executable] for entry in entries]
        return ports.Tree(entries, self.put_bytes(canonical.dumps(body).encode()))

    def tree(self, sha256: str) -> ports.Tree:
        content = self.read(sha256)
        try:
            listed: list[Any] = json.loads(content)
            if not isinstance(listed, list):
                raise TypeError
            entries = tuple(ports.Entry(*item) for item in listed)
            rules.check_entries(entries)
        except (ValueError, TypeError, errors.InvalidInput):
            raise errors.NotFound(f"{sha256[:12]}… is a file, not a folder") from None
        return ports.Tree(entries, sha256)

    def materialise(self, reference: str, target: Path, *, writable: bool = False) -> Path:
        kind, _, rest = reference.partition(":sha256:")
        sha256, _, below = rest.partition("/")
        if kind not in ("blob", "tree") or (kind == "blob" and below):
            raise errors.InvalidInput(f"'{reference}' is not blob:sha256:… or tree:sha256:…")
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=".incoming-"))
        try:
            made = beside / "content"
            if kind == "blob":
                self._copy(sha256, made, writable, False)
            else:
                self._lay_tree(sha256, below, made, writable)
            if target.exists():
                _remove(target)
            made.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return target

    def _lay_tree(self, sha256: str, below: str, made: Path, writable: bool) -> None:
        tree = self.tree(sha256)
        single = next((entry for entry in tree.entries if entry.path == below), None)
        if single:
            self._copy(single.sha256, made, writable, single.executable)
            return
        prefix = below.rstrip("/") + "/" if below else ""
        chosen = [entry for entry in tree.entries if entry.path.startswith(prefix)]
        if below and not chosen:
            raise errors.NotFound(f"'{below}' is not in that folder")
        made.mkdir()
        for entry in chosen:
            place = made / entry.path[len(prefix) :]
            place.parent.mkdir(parents=True, exist_ok=True)
            self._copy(entry.sha256, place, writable, entry.executable)

    def _copy(self, sha256: str, target: Path, writable: bool, executable: bool) -> None:
        # A copy, not a hard link: a job that writes to its input must not change what others see.
        shutil.copyfile(self.path(sha256), target)
        target.chmod((0o755 if executable else 0o644) if writable else (0o555 if executable else 0o444))


def _files(folder: Path, root: Path, within: tuple[Path, ...]) -> Iterator[Path]:
    """Everything below that is no folder. Links are followed as long as they stay inside and do not go round."""
    for path in folder.iterdir():
        if path.is_symlink():
            _check_link(path, root, within)
        if path.is_dir():
            yield from _files(path, root, (*within, folder.resolve()))
        else:
            yield path


def _check_link(link: Path, root: Path, within: tuple[Path, ...]) -> None:
    try:
        real = link.resolve(strict=True)
    except (OSError, RuntimeError):
        raise errors.InvalidInput(f"{link} is a link that leads nowhere", cure="Remove it.") from None
    if not real.is_relative_to(root):
        raise errors.InvalidInput(
            f"{link} is a link to a place outside {root}", cure="Copy the file in, or leave the link out."
        )
    if real in (*within, link.parent.resolve()):
        raise errors.InvalidInput(f"{link} is a link to a folder that it is in", cure="Remove it.")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
