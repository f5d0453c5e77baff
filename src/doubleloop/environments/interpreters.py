"""Which Pythons this machine has: from PATH, pyenv and uv."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from doubleloop.environments import model

_ASK = (
    "import sys, platform, venv; sys.stdout.write("
    "platform.python_implementation() + ' ' + '.'.join(map(str, sys.version_info[:3])) + ' ' + sys.version_info[3])"
)
_OLDEST = (3, 7)
_ASK_TIMEOUT_S = 20


def present(extra: Iterable[Path] = ()) -> tuple[model.Interpreter, ...]:
    """Every CPython from 3.7 on, newest first, one per complete version. ``extra`` are further executables to ask."""
    found: dict[str, model.Interpreter] = {}
    for path in (*extra, *_candidates()):
        version = _version(path)
        if version and version not in found:
            found[version] = model.Interpreter(version, path)
    return tuple(sorted(found.values(), key=lambda python: python.order, reverse=True))


def _candidates() -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    path = [Path(folder) for folder in os.get_exec_path()]
    # A pyenv shim only works for the version that is switched on; the versions themselves always do.
    pyenvs = [folder.parent for folder in path if folder.name == "shims"] + [Path.home() / ".pyenv"]
    for folder in _unique([pyenv / "versions" for pyenv in pyenvs] + [Path.home() / ".local/share/uv/python"]):
        yield from sorted(folder.glob("*/bin/python3.*[0-9]"))
    usual = [Path("/usr/local/bin"), Path("/usr/bin")]
    for folder in _unique([folder for folder in path if folder.name != "shims"] + usual):
        yield from sorted(folder.glob("python3.*[0-9]"))


def _unique(folders: Sequence[Path]) -> Iterator[Path]:
    yield from dict.fromkeys(folders)


def _version(path: Path) -> str | None:
    try:
        if not os.access(path, os.X_OK) or (path.parent.parent / "pyvenv.cfg").exists():
            return None  # a virtual environment lives as long as somebody keeps it: build on what is below it
        real = path.resolve(strict=True)
        return _ask(real, real.stat().st_mtime_ns)
    except (OSError, RuntimeError):
        return None


@functools.lru_cache(maxsize=256)
def _ask(path: Path, changed: int) -> str | None:
    """The version an executable tells, or None when it is no usable CPython; asked again when the file has changed."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    implementation, _, rest = done.stdout.partition(" ")
    version, _, level = rest.partition(" ")
    if done.returncode or implementation != "CPython" or level != "final":
        return None
    return version if tuple(map(int, version.split(".")))[:2] >= _OLDEST else None
