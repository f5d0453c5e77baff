"""Builds the environment of a lock, once, whoever asks and however often a build is cut off.

A virtual environment knows its own path, so it is built where it will stay. What makes that safe:

* a lock file beside it, held by the builder *and by the uv it runs*, so that nobody clears the folder under an
  installer that outlived its builder;
* a marker file written last. Without it the folder is half-built, and the next builder starts over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from doubleloop.base import errors
from doubleloop.environments import bytecode, installer, interpreters, model, rules

_MARKER = "doubleloop.json"
_CHECK_TIMEOUT_S = 120
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


def build(
    lock: model.Lock,
    home: Path,
    progress: installer.Progress = lambda line: None,
    *,
    uv_cache: Path | None = None,
    pythons: Sequence[model.Interpreter] | None = None,
) -> model.Built:
    """The environment of ``lock`` under ``<home>/environments/<digest>``, built unless it is there already.

    ``uv_cache`` is uv's download cache (its own default when None). Raises Unavailable when the Python or the package
    index is not there, Failed when a package cannot be installed.
    """
    began = time.monotonic()
    path = home / "environments" / lock.digest
    if _complete(path, lock):
        return model.Built(path, _python(path), lock.digest, reused=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(path, progress) as held:
        if _complete(path, lock):
            return model.Built(path, _python(path), lock.digest, reused=True, seconds=time.monotonic() - began)
        shutil.rmtree(path, ignore_errors=True)
        present = interpreters.present() if pythons is None else pythons
        _install(lock, path, rules.choose_python(lock.python, present), uv_cache, progress, held)
        _mark(path, lock)
    return model.Built(path, _python(path), lock.digest, seconds=time.monotonic() - began)


def clean(home: Path) -> list[str]:
    """Remove half-built environments that nobody is building; returns their digests."""
    removed = []
    for path in sorted((home / "environments").glob("*/")):
        if not _DIGEST.match(path.name) or (path / _MARKER).exists():
            continue
        with _lock_file(path) as held, contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (path / _MARKER).exists():
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path.name)
    return removed


def remove(digest: str, home: Path) -> None:
    """Remove an environment that no run uses any more (the caller knows); waits for a build of it to end."""
    path = home / "environments" / digest
    if path.parent.is_dir():
        with _only_builder(path, lambda line: None):
            # The marker first: cut off in the middle, what is left counts as half-built.
            (path / _MARKER).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def _python(path: Path) -> Path:
    return path / "bin" / "python"


def _complete(path: Path, lock: model.Lock) -> bool:
    """Whether the marker is there and the Python below the environment still is, too."""
    try:
        marker = json.loads((path / _MARKER).read_text())
    except (OSError, ValueError):
        return False
    return bool(marker.get("digest") == lock.digest) and _python(path).exists()


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    held = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield held
    finally:
        os.close(held)


@contextlib.contextmanager
def _only_builder(path: Path, progress: installer.Progress) -> Iterator[int]:
    with _lock_file(path) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of this environment")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held


def _install(
    lock: model.Lock,
    path: Path,
    python: model.Interpreter,
    uv_cache: Path | None,
    progress: installer.Progress,
    held: int,
) -> None:
    progress(f"Python {python.version}, {len(lock.requirements)} packages")
    with tempfile.TemporaryDirectory(prefix="doubleloop-build-") as name:
        folder = Path(name)
        pins = "".join(f"{line}\n" for line in (*lock.options, *lock.requirements))
        (folder / "requirements.txt").write_text(pins)
        make = ["venv", str(path), "--python", str(python.path), "--no-project"]
        fill = ["pip", "sync", "requirements.txt", "--python", str(_python(path))]
        fill += ["--index-strategy", "unsafe-best-match", "--allow-empty-requirements"]
        try:
            for arguments in (make, fill):
                installer.run(arguments, folder=folder, cache=uv_cache, progress=progress, keep_open=[held])
            for packages in path.glob("lib/python*/site-packages"):
                bytecode.compile_packages(_python(path), packages, uv_cache=uv_cache, keep_open=[held])
        except installer.Refused as refused:
            raise _explain(refused, lock) from refused
    _check(path)


def _check(path: Path) -> None:
    done = subprocess.run(
        [str(_python(path)), "-I", "-c", "import sys, sysconfig; sys.exit(sys.prefix == sys.base_prefix)"],
        capture_output=True, text=True, timeout=_CHECK_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise errors.Failed(f"the Python of the new environment {path} does not run: {done.stderr.strip()[-1000:]}")


def _mark(path: Path, lock: model.Lock) -> None:
    part = path / f"{_MARKER}.part"
    with part.open("w") as file:
        json.dump(lock.to_dict(), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path / _MARKER)


def _explain(refused: installer.Refused, lock: model.Lock) -> errors.DoubleloopError:
    said = rules.masked(refused.message)
    if refused.no_network:
        return errors.Unavailable(
            f"the package index does not answer: {said}", cure="Try again when it does; what was fetched is kept."
        )
    return errors.Failed(
        f"environment {lock.digest[:12]} (Python {lock.python}) could not be built: {said}",
        cure="Choose a version of the named package that has a wheel for this Python, or install what its build needs.",
    )
