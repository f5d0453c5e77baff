"""torch for tests that need it: the build without CUDA, laid into a folder of its own once for all of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uv

import doubleloop

# Only the build without CUDA has this version: where an index does not offer it, nothing of gigabytes is fetched.
VERSION = "2.13.0+cpu"
_PLACE = Path(__file__).parents[1] / ".cache" / f"torch-{VERSION}-{sys.version_info[0]}{sys.version_info[1]}"


def packages() -> Path:
    """The folder that torch and what it needs lie in. Skips the test where it cannot be had."""
    _PLACE.parent.mkdir(exist_ok=True)
    with _PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _PLACE.exists():
            _install(_PLACE.with_suffix(".incoming"))
            _PLACE.with_suffix(".incoming").rename(_PLACE)
    return _PLACE


def beside(requirement: str) -> Path:
    """The folder of a package that is installed beside torch. Skips the test where it cannot be had."""
    place = _PLACE.with_name(f"{requirement.replace('~=', '-')}-{sys.version_info[0]}{sys.version_info[1]}")
    place.parent.mkdir(exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(place.with_suffix(".incoming"), requirement)
            place.with_suffix(".incoming").rename(place)
    return place


def _install(folder: Path, requirement: str = f"torch=={VERSION}") -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, env=_wheels())
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"{requirement} cannot be had here: {done.stderr.strip()[-300:]}")


def _wheels() -> dict[str, str]:
    """uv looks where pip is told to look."""
    found = dict(os.environ)
    if "PIP_FIND_LINKS" in found:
        found.setdefault("UV_FIND_LINKS", found["PIP_FIND_LINKS"])
    return found


def environment() -> dict[str, str]:
    """For a process that imports torch, one thread of it, and doubleloop."""
    paths = [str(Path(doubleloop.__file__).parent.parent), str(packages())]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
