"""Make ``.venv`` from the lock file with nothing but Python 3.11 and a network: no pip, no venv package needed.

uv is one of the locked packages: its wheel, at the address and with the hash that ``uv.lock`` gives, is unpacked into
``.cache`` and then installs everything else.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The wheel of each kind of machine, by how its file name ends.
MACHINES = {
    "Linux-x86_64": "manylinux2014_x86_64.whl",
    "Linux-aarch64": "manylinux2014_aarch64.whl",
    "Darwin-arm64": "macosx_11_0_arm64.whl",
    "Darwin-x86_64": "macosx_10_12_x86_64.whl",
}


def wheel() -> tuple[str, str, str]:
    """Version of uv, address and SHA-256 of its wheel for this machine, as locked."""
    machine = f"{platform.system()}-{platform.machine()}"
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    package = next(each for each in lock["package"] if each["name"] == "uv")
    for each in package["wheels"]:
        if machine in MACHINES and each["url"].endswith(MACHINES[machine]):
            return package["version"], each["url"], each["hash"].removeprefix("sha256:")
    sys.exit(
        f"error: uv has no wheel for {machine}\n"
        "  cure: install uv yourself so that `uv --version` works, then: uv sync --frozen && touch .venv/.complete"
    )


def uv() -> str:
    """The path of uv: the pinned one, or one that is installed when it has the pinned version."""
    version, address, digest = wheel()
    place = ROOT / ".cache" / f"uv-{version}" / "uv"
    if place.exists():
        return str(place)
    installed = shutil.which("uv")
    if installed and version in subprocess.run([installed, "--version"], capture_output=True, text=True).stdout:
        return installed
    print(f"fetching uv {version}", flush=True)
    try:
        with urllib.request.urlopen(address, timeout=60) as stream:
            content = stream.read()
    except OSError as error:
        sys.exit(f"error: {address}: {error}\n  cure: check the network, or install uv {version} yourself")
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("error: the wheel of uv has another hash than the locked one; nothing was installed")
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(each for each in archive.namelist() if each.endswith("/scripts/uv"))
        beside = place.with_suffix(".incoming")
        beside.write_bytes(archive.read(name))
    beside.chmod(0o755)
    beside.rename(place)
    return str(place)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (what runs this is not yet what the project asks for)
        sys.exit(f"error: Python 3.11 or later is needed, this is {platform.python_version()}\n  cure: make PYTHON=…")
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv"), "UV_PYTHON_DOWNLOADS": "never"}
    # Compiled once here: every process would compile what it imports where bytecode may not be written.
    command = [uv(), "sync", "--frozen", "--compile-bytecode", "--python", sys.executable]
    done = subprocess.run(command, cwd=ROOT, env=environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
