"""An environment for each peer, below ``.benchmarks/envs``, with exactly what ``requirements/<name>.txt`` pins; and the
model, made in one of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import uv

from doubleloop.base import canonical

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent / ".benchmarks"
REQUIREMENTS = HERE / "requirements"
PYTHON = "3.11"


class NotInstalled(Exception):
    """What uv said."""


def prepare(name: str, requirements: Path = REQUIREMENTS) -> Path:
    """The ``bin`` folder of the environment, made anew when what is pinned has changed. Raises NotInstalled."""
    pinned = requirements / f"{name}.txt"
    folder = ROOT / "envs" / name
    done, wanted = folder / ".complete", canonical.sha256(pinned.read_text())
    if not done.exists() or done.read_text() != wanted:
        print(f"  installing {name} ({len(pinned.read_text().splitlines())} packages)", flush=True)
        _uv("venv", "--clear", "--python", PYTHON, str(folder))
        # Copies, not links: two environments that share a file on disk would share its memory, too.
        python = str(folder / "bin" / "python")
        # Compiled, as environments of jobs and deployments are: nobody's start is measured with a compiler in it.
        fill = ("--link-mode", "copy", "--no-deps", "--compile-bytecode", "--python", python)
        _uv("pip", "install", *fill, "--requirement", str(pinned))
        done.write_text(wanted)
    return folder / "bin"


def model(bin: Path, folder: Path) -> Path:
    """The folder of the model, made in ``folder`` (see ``model.py``). Raises NotInstalled."""
    made = folder / "model"
    done = subprocess.run([bin / "python", HERE / "model.py", made], capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled(done.stderr.strip()[-2000:])
    print(f"  {done.stdout.strip()}", flush=True)
    return made


def versions(name: str, packages: tuple[str, ...], requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """Of what is pinned for ``name``."""
    pinned = dict(
        line.split(";")[0].strip().split("==")
        for line in (requirements / f"{name}.txt").read_text().splitlines()
        if "==" in line
    )
    return {package: pinned[package] for package in packages if package in pinned}


def _uv(*arguments: str) -> None:
    done = subprocess.run([uv.find_uv_bin(), "--quiet", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled(done.stderr.strip()[-2000:])
