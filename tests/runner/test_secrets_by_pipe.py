"""The runner takes the values of secrets from its caller's pipe, and refuses what does not fit without repeating it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from doubleloop.runner import run

VALUE = "correct-horse-battery-staple"


def start(rundir: Path, names: object, given: bytes) -> subprocess.CompletedProcess[bytes]:
    rundir.mkdir()
    (rundir / "job.json").write_text(json.dumps({"id": "r", "command": "echo $A; exit ${#A}", "secrets": names}))
    argv = [sys.executable, "-E", "-s", "-S", str(Path(run.__file__)), str(rundir / "job.json")]
    return subprocess.run(argv, input=given, capture_output=True, check=False, timeout=60)


def test_the_value_reaches_the_command_and_no_file(tmp_path: Path) -> None:
    done = start(tmp_path / "run", ["A"], json.dumps({"A": VALUE}).encode())
    assert (done.returncode, done.stderr) == (run.STARTED, b"")
    subprocess.run(["flock", str(tmp_path / "run" / "lock"), "true"], check=True, timeout=60)
    assert json.loads((tmp_path / "run" / "exit.json").read_text())["exit_code"] == len(VALUE)
    files = [each for each in (tmp_path / "run").rglob("*") if each.is_file()]
    assert not any(VALUE.encode() in each.read_bytes() for each in files)
    assert (tmp_path / "run" / "logs" / "std_log.txt").read_text() == "***\n"


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (["A"], b""),
        (["A"], json.dumps({"B": VALUE}).encode()),
        (["A"], json.dumps({"A": VALUE, "B": VALUE}).encode()),
        (["A"], json.dumps({"A": [VALUE]}).encode()),
        (["A"], json.dumps({"A": VALUE + "\0"}).encode()),
        (["A"], VALUE.encode()),
        (["A"], b"\xff\xfe"),
        ("A", b"{}"),
        (["A=B"], b"{}"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, names: object, given: bytes) -> None:
    done = start(tmp_path / "run", names, given)
    assert done.returncode == run.BAD_JOB
    assert b"Traceback" not in done.stderr
    assert VALUE.encode() not in done.stderr
    assert not (tmp_path / "run" / "pid").exists()
