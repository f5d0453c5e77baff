"""The runner as it is really started: by file path, with the interpreter of the user's environment."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from doubleloop.runner import disk, job, logfile, process, run

RUNNER = Path(run.__file__)
ROOM = sorted(RUNNER.parent.glob("*.py"))


def pythons() -> list[str]:
    """Every interpreter of this machine from 3.7 to 3.13."""
    roots = [Path(folder).parent / "versions" for folder in os.get_exec_path() if folder.endswith("pyenv/shims")]
    found = {
        re.sub(r".*/(\d\.\d+).*", r"\1", str(path)): str(path) for root in roots for path in root.glob("3.*/bin/python")
    }
    own = "{}.{}".format(*sys.version_info[:2])
    return [path for minor, path in sorted({**found, own: sys.executable}.items()) if minor != "3.6"]


def start(python: str, rundir: Path, body: object) -> subprocess.CompletedProcess[str]:
    rundir.mkdir(exist_ok=True)
    (rundir / "job.json").write_text(json.dumps(body))
    argv = [python, str(RUNNER), str(rundir / "job.json")]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def outcome(rundir: Path) -> dict:
    """Waits for the lock that the supervisor holds until its end."""
    subprocess.run(["flock", str(rundir / "lock"), "true"], check=True, timeout=60)
    found: dict = json.loads((rundir / "exit.json").read_text())
    return found


@pytest.mark.parametrize("python", pythons())
def test_it_runs_under_every_python_of_users_environments(python: str, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("import sys\nprint('python %d.%d' % sys.version_info[:2])\nsys.exit(5)\n")
    done = start(python, tmp_path / "run", {"id": "r", "command": "python main.py", "code_dir": str(code)})
    assert (done.returncode, done.stderr) == (run.STARTED, "")
    assert outcome(tmp_path / "run")["exit_code"] == 5
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    log = (tmp_path / "run" / "logs" / "std_log.txt").read_text()
    assert log == "python {}.{}\n".format(*version.split(".")[:2])
    assert (tmp_path / "run" / "runner.log").read_text() == ""


# What reads the tables of parallel steps uses the pandas of the user's own environment, and only there; what stands for
# Azure's runs logs with the user's mlflow.
OF_THE_USERS = {
    "parallel_tables.py": {"pandas"}, "parallel_worker.py": {"pandas"}, "azureml_run.py": {"mlflow"},
}  # fmt: skip


@pytest.mark.parametrize("path", ROOM, ids=lambda path: path.name)
def test_it_uses_the_standard_library_only(path: Path) -> None:
    known = sys.stdlib_module_names | {each.stem for each in ROOM} | OF_THE_USERS.get(path.name, set())
    for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 7))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        assert all(module.split(".")[0] in known for module in modules), modules


def test_it_lives_in_a_session_of_its_own_and_leaves_the_callers_pipes(tmp_path: Path) -> None:
    rundir = tmp_path / "run"
    gate = tmp_path / "gate"
    start(sys.executable, rundir, {"id": "r", "command": f"while [ ! -e {gate} ]; do sleep 0.02; done"})
    who = json.loads((rundir / "pid").read_text())  # `start` came back, so nobody holds its pipes any more
    assert process.alive(who)
    assert os.getsid(who["pid"]) == who["pid"] != os.getsid(0)
    assert os.readlink(f"/proc/{who['pid']}/fd/0") == "/dev/null"
    gate.touch()
    assert outcome(rundir)["reason"] == "completed"


def test_a_second_runner_for_the_same_directory_leaves_at_once(tmp_path: Path) -> None:
    rundir = tmp_path / "run"
    body = {"id": "r", "command": f"echo ran >> {tmp_path}/count"}
    assert start(sys.executable, rundir, body).returncode == run.STARTED
    assert start(sys.executable, rundir, body).returncode == run.STARTED_BEFORE
    outcome(rundir)
    assert start(sys.executable, rundir, body).returncode == run.STARTED_BEFORE
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_cancel_before_the_command_began_means_that_it_never_does(tmp_path: Path) -> None:
    rundir = tmp_path / "run"
    rundir.mkdir()
    (rundir / "cancel").touch()
    start(sys.executable, rundir, {"id": "r", "command": f"touch {tmp_path}/ran"})
    found = outcome(rundir)
    assert (found["reason"], found["exit_code"]) == ("cancelled", None)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([], "must be an object"),
        ({"id": "r"}, "'command' must be a text"),
        ({"id": "r", "command": " "}, "'command' must be a text"),
        ({"id": "r", "command": "x", "timeout_s": -1}, "'timeout_s' must be a number"),
        ({"id": "r", "command": "x", "quota_bytes": True}, "'quota_bytes' must be a number"),
        ({"id": "r", "command": "x", "env": {"A": 1}}, "'A' is not a variable"),
        ({"id": "r", "command": "x", "env": {"A=B": "1"}}, "'A=B' is not a variable"),
        ({"id": "r", "command": "x", "outputs": {"o": {"path": "rel", "type": "uri_file"}}}, "'outputs.o.path'"),
        ({"id": "r", "command": "x", "outputs": {"o": {"path": "/x", "type": "film"}}}, "'outputs.o.type'"),
    ],
)
def test_a_job_that_cannot_be_right_is_refused_naming_the_field(body: object, complaint: str, tmp_path: Path) -> None:
    done = start(sys.executable, tmp_path / "run", body)
    assert done.returncode == run.BAD_JOB
    assert complaint in done.stderr
    assert not (tmp_path / "run" / "pid").exists()


def test_output_folders_are_made_and_output_files_are_not(tmp_path: Path) -> None:
    rundir = tmp_path / "run"
    outputs = {
        name: {"path": str(tmp_path / "out" / name / "x"), "type": name} for name in job.FOLDER_TYPES + job.FILE_TYPES
    }
    start(sys.executable, rundir, {"id": "r", "command": "true", "outputs": outputs})
    kinds = {name: found["kind"] for name, found in outcome(rundir)["outputs"].items()}
    assert kinds == {**dict.fromkeys(job.FOLDER_TYPES, "folder"), "uri_file": "missing"}
    assert (tmp_path / "out" / "uri_file").is_dir()


def test_disk_use_is_what_du_says(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "sub" / "a", tmp_path / "same")
    os.symlink("/usr", tmp_path / "link")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**9)
    du = subprocess.run(["du", "-s", "--block-size=1", str(tmp_path)], capture_output=True, text=True, check=True)
    assert disk.usage([str(tmp_path)]) == int(du.stdout.split()[0])
    assert disk.usage([str(tmp_path), str(tmp_path / "sub")]) == int(du.stdout.split()[0])


def test_a_log_at_its_cap_drops_only_the_middle(tmp_path: Path) -> None:
    log = logfile.CappedLog(str(tmp_path / "log"), cap_bytes=10)
    for part in (b"012345", b"6789ab", b"x" * logfile.TAIL_BYTES, b"end"):
        log.write(part)
    log.close()
    text = (tmp_path / "log").read_bytes()
    assert text.startswith(b"0123456789\n[the log is full: 5 bytes were dropped here")
    assert text.endswith(b"xend") and log.dropped == 5


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    who = process.identity(child.pid)
    assert who is not None and process.alive(who)
    assert not process.alive({**who, "started": who["started"] + 1})
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but still a zombie
    assert process.identity(child.pid) is None and not process.alive(who)
    child.wait()
