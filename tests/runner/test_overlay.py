"""``pip install`` inside a job: importable in that job, and never a change to the environment that others share."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from doubleloop.runner import run


def wheel(folder: Path, name: str, version: str, script: str = "") -> None:
    """A real wheel of one module ``name`` that knows its version, with a console script when one is asked for."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n\ndef main():\n    import sys\n    {script or 'pass'}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}:main\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip, ``alpha`` 1 and ``tool``, and wheels of newer things beside it."""
    folder = tmp_path_factory.mktemp("shared")
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel(wheels, "alpha", "1.0")
    wheel(wheels, "beta", "1.0")
    wheel(
        wheels, "tool", "1.0", script="import alpha, beta; print('tool sees', alpha.VERSION, beta.VERSION, sys.prefix)"
    )
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index", f"--find-links={wheels}"]
    subprocess.run([*pip, "alpha", "tool"], check=True)
    wheel(wheels, "alpha", "2.0")
    return folder


def job(shared: Path, rundir: Path, command: str) -> str:
    rundir.mkdir()
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shared / "wheels"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    (rundir / "job.json").write_text(json.dumps({"id": "r", "command": "set -e; " + command, "env": env}))
    python = shared / "env" / "bin" / "python"
    subprocess.run([str(python), run.__file__, str(rundir / "job.json")], check=True, timeout=60)
    subprocess.run(["flock", str(rundir / "lock"), "true"], check=True, timeout=120)
    log = (rundir / "logs" / "std_log.txt").read_text()
    assert json.loads((rundir / "exit.json").read_text())["reason"] == "completed", log
    return log


def test_what_a_job_installs_it_can_import_and_nobody_else_sees(shared: Path, tmp_path: Path) -> None:
    before = fingerprint(shared / "env")
    command = "pip install -q beta; python -c 'import alpha, beta; print(alpha.VERSION, beta.VERSION)'"
    assert job(shared, tmp_path / "first", command) == "1.0 1.0\n"
    log = job(shared, tmp_path / "second", "python -c 'import beta' || echo unknown")
    assert "ModuleNotFoundError" in log and log.endswith("unknown\n")
    assert fingerprint(shared / "env") == before


def test_what_a_job_upgrades_or_removes_stays_as_it_was_in_the_shared_environment(shared: Path, tmp_path: Path) -> None:
    before = fingerprint(shared / "env")
    log = job(
        shared,
        tmp_path / "run",
        "python -m pip install -q --upgrade alpha 2>&1; python -c 'import alpha; print(\"now\", alpha.VERSION)';"
        "pip uninstall -q -y alpha 2>&1; python -c 'import alpha; print(\"then\", alpha.VERSION)';"
        "pip uninstall -y alpha 2>&1 || true; python -c 'import alpha; print(\"still\", alpha.VERSION)'",
    )
    assert "now 2.0" in log and "then 1.0" in log and "still 1.0" in log
    assert "outside environment" in log
    assert fingerprint(shared / "env") == before


def test_a_console_script_of_the_shared_environment_sees_what_the_job_installed(shared: Path, tmp_path: Path) -> None:
    log = job(shared, tmp_path / "run", "pip install -q beta 'alpha==2.0' 2>&1; tool")
    assert f"tool sees 2.0 1.0 {tmp_path}/run/overlay" in log


def test_path_files_of_the_shared_environment_work_in_the_job(shared: Path, tmp_path: Path) -> None:
    site_packages = next((shared / "env").glob("lib/python*/site-packages"))
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "from_pth.py").write_text("HERE = 'yes'\n")
    (site_packages / "extra.pth").write_text(f"{tmp_path / 'extra'}\n")
    assert job(shared, tmp_path / "run", "python -c 'import from_pth; print(from_pth.HERE)'") == "yes\n"
