"""Sending what a file points at: local files and folders become content addresses, each file sent only when the server
does not have it, so that an upload that broke goes on where it stopped.

A folder becomes ``tree:sha256:<hex>``. A file becomes ``tree:sha256:<hex>/<its name>``, because its name matters to
whoever opens it (``train.csv``, ``model.pkl``). A model's folder keeps its name the same way, since
``$AZUREML_MODEL_DIR`` is the folder around it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from doubleloop.base import errors
from doubleloop.sdk import blobs, ignores, zips
from doubleloop.specs import beside

# Several at once, because a folder of small files is all waiting; more would not help one server on one disk.
SENDERS = 4


@dataclass(frozen=True)
class Want:
    """A local path to send. ``code`` folders leave out what git would; ``named`` folders keep their own name.

    ``includes`` are laid into code, each under its own name. One that is named ``x.zip`` and not there is the folder
    ``x``, packed.
    """

    path: Path
    code: bool = False
    named: bool = False
    where: errors.Where | None = None
    includes: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Sent:
    """``reference`` is the content address; ``files`` and ``size`` (bytes) what it holds, sent now or before."""

    want: Want
    reference: str
    files: int
    size: int


@dataclass(frozen=True)
class _Packed:
    """The files of one wanted path: tree entries, and where each content can be read."""

    entries: tuple[blobs.Entry, ...]
    places: dict[str, Path]
    below: str


def send(store: blobs.Blobs, wants: Iterable[Want], progress: blobs.Progress = blobs.silent) -> list[Sent]:
    """Upload everything in ``wants``, in that order. Raises InvalidInput for a path that cannot be sent.

    While files are read for their hashes, ``progress`` is told their names, with no bytes in all.
    """
    with tempfile.TemporaryDirectory(prefix="doubleloop-upload-") as scratch:
        packed = [(want, _pack(want, Path(scratch), progress)) for want in dict.fromkeys(wants)]
        places = {sha256: place for _, pack in packed for sha256, place in pack.places.items()}
        sizes = {entry.sha256: entry.size for _, pack in packed for entry in pack.entries}
        _send_files(store, places, sizes, progress)
    sent = []
    for want, pack in packed:
        tree = store.put_tree(pack.entries)
        below = f"/{pack.below}" if pack.below else ""
        size = sum(entry.size for entry in pack.entries)
        sent.append(Sent(want, f"tree:sha256:{tree}{below}", len(pack.entries), size))
    return sent


def _send_files(
    store: blobs.Blobs, places: dict[str, Path], sizes: dict[str, int], progress: blobs.Progress
) -> None:  # fmt: skip
    missing = sorted(store.missing(places), key=lambda sha256: (str(places[sha256]), sha256))
    total, done = sum(sizes[sha256] for sha256 in missing), 0
    if not missing:
        return
    progress(places[missing[0]].name, 0, total)
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="upload") as pool:
        futures = [pool.submit(store.put, places[sha256], sha256, sizes[sha256]) for sha256 in missing]
        try:
            for sha256, future in zip(missing, futures, strict=True):
                future.result()
                done += sizes[sha256]
                progress(places[sha256].name, done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pack(want: Want, scratch: Path, progress: blobs.Progress) -> _Packed:
    pack = _pack_one(want, scratch, progress)
    if not want.includes:
        return pack
    entries, places = list(pack.entries), dict(pack.places)
    for include in want.includes:
        more = _pack_one(replace(want, path=include, named=True), scratch, progress)
        entries += more.entries
        places = more.places | places
    return _Packed(tuple(sorted(entries, key=lambda entry: entry.path)), places, "")


def _pack_one(want: Want, scratch: Path, progress: blobs.Progress) -> _Packed:
    path = want.path
    if beside.is_packed(path):
        folder = path.with_suffix("")
        path = zips.write(folder, _walk(folder, ignores.read(folder, code=True), want), scratch)
    if path.is_dir():
        files = list(_walk(path, ignores.read(path, code=want.code), want))
        prefix = path.resolve().name if want.named else ""
    elif path.exists():
        files, prefix = [path], ""
    else:
        raise errors.InvalidInput(
            f"There is no file or folder {path}", where=want.where,
            cure="Correct the path; it starts at the folder of the file it is written in.",
        )  # fmt: skip
    root = path if path.is_dir() else path.parent
    entries: list[blobs.Entry] = []
    places: dict[str, Path] = {}
    for file in files:
        progress(file.name, 0, 0)
        entry = _entry(file, file.relative_to(root).as_posix(), want)
        entries.append(replace(entry, path=f"{prefix}/{entry.path}") if prefix else entry)
        places.setdefault(entry.sha256, file)
    below = "" if want.code else path.name if not path.is_dir() else prefix
    return _Packed(tuple(sorted(entries, key=lambda entry: entry.path)), places, below if entries else "")


def _entry(file: Path, name: str, want: Want) -> blobs.Entry:
    try:
        info = file.stat()
        if not stat.S_ISREG(info.st_mode):
            raise errors.InvalidInput(
                f"{file} is not a regular file (a socket, pipe or device)", where=want.where, cure="Leave it out."
            )
        return blobs.Entry(name, blobs.digest(file), info.st_size, bool(info.st_mode & stat.S_IXUSR))
    except OSError as error:
        raise errors.InvalidInput(
            f"{file} cannot be read: {error.strerror}",
            where=want.where,
            cure="Correct its permissions, or leave it out.",
        ) from error


def _walk(folder: Path, rules: ignores.Ignores, want: Want) -> Iterator[Path]:
    """The files of a folder that are not left out, links inside it followed. A link that leads outside is refused:
    what it points at is not part of what is sent, and would not be there for others."""
    root = folder.resolve()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        relative = here.relative_to(folder)
        folders[:] = sorted(name for name in folders if not rules.skips((relative / name).as_posix(), True))
        for name in folders:
            _stays_inside(here / name, root, want)
        for name in sorted(names):
            if not rules.skips((relative / name).as_posix(), False):
                _stays_inside(here / name, root, want)
                yield here / name


def _stays_inside(path: Path, root: Path, want: Want) -> None:
    if not path.is_symlink():
        return
    target = path.resolve()
    if not target.exists():
        raise errors.InvalidInput(
            f"{path} is a link to {os.readlink(path)}, which is not there", where=want.where, cure="Remove the link."
        )
    if not target.is_relative_to(root):
        raise errors.InvalidInput(
            f"{path} is a link to a place outside {want.path}", where=want.where,
            cure="Copy the content in, or leave the link out with a line in .amlignore.",
        )  # fmt: skip
    if path.is_dir() and path.parent.resolve().is_relative_to(target):
        raise errors.InvalidInput(
            f"{path} is a link to a folder around it", where=want.where, cure="Remove the link."
        )  # fmt: skip
