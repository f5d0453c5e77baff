"""Install what tests need beyond Python packages: Debian's Chromium, for the tests of the console's pages.

Does nothing where it is there already, and only says so where it cannot be installed: those tests are then skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess


def main() -> None:
    if shutil.which("chromium") or shutil.which("chromium-browser"):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print("note: without chromium (apt install chromium) the tests of pages in a real browser are skipped")
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"note: `{' '.join(command)}` failed, so the tests of pages in a real browser are skipped")
            return


if __name__ == "__main__":
    main()
