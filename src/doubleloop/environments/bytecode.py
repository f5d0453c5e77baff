"""Bytecode, made once where packages are laid: scorers and checks keep none, and would each compile all they import.

What a source was compiled to is kept in uv's cache, beside the packages: the next environment that has the same package
takes it from there. It is no dearer to lose than they are.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from doubleloop.environments import compiling, installer

KEPT = "doubleloop-bytecode"


def compile_packages(
    python: Path, folder: Path, *, uv_cache: Path | None = None, keep_open: Sequence[int] = ()
) -> None:
    """Compile what lies in ``folder`` with its environment's ``python``. Raises Refused."""
    cache = uv_cache or Path(installer.run(["cache", "dir"], folder=folder).strip())
    kept = cache / KEPT if cache.is_dir() else Path(os.devnull)  # uv can be told to keep nothing
    try:
        subprocess.run(
            [str(python), "-I", "-S", compiling.__file__, str(folder), str(kept)], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=installer.environ(),
            pass_fds=tuple(keep_open), timeout=installer.TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise installer.Refused(f"packages were not compiled after {error.timeout:g} s") from error
