"""Install what tests need beyond Python packages: Debian's Chromium, for the tests of the console's pages, and its
Postgres, for those of the record on another database than SQLite.

Does nothing where it is there already, and only says so where it cannot be installed: those tests are then skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def lacking() -> list[str]:
    """Packages whose programs are not here."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    postgres = shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return [name for name, there in (("chromium", chromium), ("postgresql", postgres)) if not there]


def main() -> None:
    wanted = lacking()
    if not wanted:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(f"note: without {' and '.join(wanted)} (apt install …) the tests that need them are skipped")
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"note: `{' '.join(command)}` failed, so the tests that need it are skipped")
            return


if __name__ == "__main__":
    main()
