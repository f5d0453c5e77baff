"""Bytecode, made once where packages are laid: scorers and checks keep none, and would each compile all they import."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from doubleloop.environments import installer


def compile_packages(python: Path, folder: Path, keep_open: Sequence[int] = ()) -> None:
    """Compile what lies in ``folder``, except packages' own tests: half of all code, and nobody imports it.

    A file that cannot be compiled is left, as installers leave it; whoever imports it is told. Raises Refused.
    """
    tests = rf"^{re.escape(str(folder))}/(.*/)?tests?/"
    try:
        subprocess.run(
            [str(python), "-I", "-m", "compileall", "-q", "-j", "0", "-x", tests, str(folder)], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=installer.environ(),
            pass_fds=tuple(keep_open), timeout=installer.TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise installer.Refused(f"packages were not compiled after {error.timeout:g} s") from error
