"""The serving kit, laid beside the environments: ONNX Runtime for scorers whose own environment has none.

One folder for each Python and each content of the pins, in ``<home>/environments/kits``. A machine without a package
index does without: scorers then answer as they do without ONNX Runtime, and their descriptions say why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from doubleloop.environments import bytecode, installer, rules
from doubleloop.gateway import paths
from doubleloop.scorer import kit

# A kit that could not be installed is not tried again for so long.
PAUSE_S = 3600
TIMEOUT_S = 300


def folder(home: Path) -> Path:
    return paths.kits(home)


def ensure(
    home: Path, minor: str, python: Path, progress: installer.Progress = lambda line: None, uv_cache: Path | None = None
) -> str:
    """Install the kit for Python ``minor`` (``3.11``) unless it is there. Never raises: why it is not there, or ''."""
    version = tuple(int(part) for part in minor.split("."))
    if version < kit.OLDEST:
        return f"there is no serving kit for Python {minor}"
    path = folder(home) / kit.name(version)
    failed = path.with_name(path.name + kit.FAILED)
    if path.is_dir():
        return ""
    with contextlib.suppress(OSError):
        if time.time() - failed.stat().st_mtime < PAUSE_S:
            return failed.read_text()
    progress(f"the serving kit for Python {minor}")
    try:
        _install(path, python, progress, uv_cache)
    except (OSError, installer.Refused) as error:
        why = rules.masked(error.message if isinstance(error, installer.Refused) else str(error))[-500:]
        with contextlib.suppress(OSError):
            failed.write_text(why)
        progress(f"note: no serving kit: {why}")
        return why
    failed.unlink(missing_ok=True)
    return ""


def _install(path: Path, python: Path, progress: installer.Progress, uv_cache: Path | None) -> None:
    """Beside its place and then into it, so that a kit is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        arguments = ["pip", "install", "--python", str(python), "--target", str(beside), "--no-deps"]
        arguments += ["--only-binary", ":all:", "--require-hashes", "--requirement", kit.PINS]
        installer.run(arguments, folder=beside, cache=uv_cache, progress=progress, timeout_s=TIMEOUT_S)
        bytecode.compile_packages(python, beside, uv_cache=uv_cache)
        beside.chmod(0o755)
        with contextlib.suppress(OSError):  # another was quicker
            os.rename(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
