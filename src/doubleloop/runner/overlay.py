"""A thin environment of the run's own, laid over the shared one.

Jobs may call ``pip install``. The shared environment must not change, yet the package must be importable in the same
job. The overlay is a virtual environment with an empty site-packages and one ``.pth`` line that adds the shared one
behind it. pip installs into the overlay, sees what the shared environment has (so nothing is fetched twice), and
refuses to uninstall from it ("outside environment"); an upgraded package lies first on the path.

The other ways fail: ``PIP_TARGET`` ignores what is installed and fetches every dependency again, ``PIP_PREFIX``
uninstalls the old version from the shared environment, ``PIP_USER`` is refused inside a virtual environment.
"""

from __future__ import annotations

import os
import shutil
import sys

_AZUREML = "_doubleloop_azureml"
_SCRIPT_HEAD_BYTES = 4096
_PYTHONS = ("python", "python3", "python%d.%d" % sys.version_info[:2])


def create(target: str, executable: str = sys.executable) -> dict:
    """Lay an overlay at ``target`` over the environment of ``executable`` (the same Python as the one running this).

    Returns the variables a command needs to be in it: ``VIRTUAL_ENV`` and ``bin``, the folder to put first on PATH.
    Raises OSError.
    """
    below = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
    site_packages = os.path.join(target, "lib", _PYTHONS[2], "site-packages")
    os.makedirs(site_packages)
    os.makedirs(os.path.join(target, "bin"))
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copyfile(os.path.join(here, "azureml_run.py"), os.path.join(site_packages, _AZUREML + ".py"))
    _write(os.path.join(site_packages, _AZUREML + ".pth"), "import %s; %s.install()\n" % (_AZUREML, _AZUREML))
    base = os.path.realpath(executable)
    for name in _PYTHONS:
        os.symlink(base, os.path.join(target, "bin", name))
    is_venv = os.path.exists(os.path.join(below, "pyvenv.cfg"))
    _write(os.path.join(target, "pyvenv.cfg"), _config(base, system_packages=not is_venv))
    if is_venv:
        shared = os.path.join(below, "lib", _PYTHONS[2], "site-packages")
        # addsitedir and not a bare path: the shared environment's own .pth files must work too.
        _write(os.path.join(site_packages, "_shared.pth"), "import site; site.addsitedir(%r)\n" % shared)
        _copy_scripts(os.path.join(below, "bin"), os.path.join(target, "bin"))
        for name in ("share", "etc"):
            _link_files(os.path.join(below, name), os.path.join(target, name))
    return {"VIRTUAL_ENV": target, "bin": os.path.join(target, "bin")}


def _config(base: str, system_packages: bool) -> str:
    return "home = %s\ninclude-system-site-packages = %s\nversion_info = %d.%d.%d\n" % (
        os.path.dirname(base), "true" if system_packages else "false", *sys.version_info[:3],
    )  # fmt: skip


def _copy_scripts(shared: str, own: str) -> None:
    """Console scripts name their interpreter in the first lines: give the run copies that name the overlay's."""
    for name in os.listdir(shared):
        path, copy = os.path.join(shared, name), os.path.join(own, name)
        if os.path.lexists(copy) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            data = file.read(_SCRIPT_HEAD_BYTES)
            is_script = data.startswith(b"#!") and shared.encode() in data.split(b"\nimport", 1)[0]
            if not is_script:
                if os.access(path, os.X_OK):
                    os.symlink(path, copy)
                continue
            data += file.read()
        _write(copy, data.replace(shared.encode(), own.encode()), 0o755)


def _link_files(shared: str, own: str) -> None:
    """Data files that packages look for under ``sys.prefix`` (Jupyter kernels ...), as links in real folders."""
    for folder, _, names in os.walk(shared):
        mirror = os.path.join(own, os.path.relpath(folder, shared))
        os.makedirs(mirror, exist_ok=True)
        for name in names:
            os.symlink(os.path.join(folder, name), os.path.join(mirror, name))


def _write(path: str, data: str | bytes, mode: int = 0o644) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
