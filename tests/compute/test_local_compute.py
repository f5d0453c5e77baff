"""Runs as real processes: how they end, who may be killed when, and what is never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.compute import local, model
from doubleloop.runner import process


@pytest.fixture
def compute(tmp_path: Path) -> local.LocalCompute:
    return local.LocalCompute(tmp_path / "home")


def step(command: str, id: str = "r", **more: object) -> model.StepRun:
    return model.StepRun(id, command, Path(sys.executable), **more)  # type: ignore[arg-type]


def ended(compute: local.LocalCompute, run: model.StepRun) -> model.Status:
    compute.start(run)
    status = compute.wait(run.id, 60)
    assert status.state.ended, compute.logs(run.id)
    return status


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def printed(compute: local.LocalCompute, text: bytes, id: str = "r") -> None:
    until(lambda: text in compute.logs(id))


def gone(pids: list[int]) -> bool:
    return all(process.identity(pid) is None for pid in pids)


def test_a_command_killed_by_a_signal_names_it(compute: local.LocalCompute) -> None:
    status = ended(compute, step("kill -SEGV $$"))
    assert (status.state, status.reason, status.message) == (model.State.FAILED, "signal", "killed by SIGSEGV")
    assert status.exit is not None and (status.exit.exit_code, status.exit.signal) == (None, signal.SIGSEGV)


def test_a_signal_behind_a_shell_is_explained(compute: local.LocalCompute) -> None:
    status = ended(compute, step("bash -c 'kill -9 $$'; exit $?"))
    assert status.exit is not None and status.exit.exit_code == 137
    assert "SIGKILL, often for lack of memory" in status.message


def test_a_run_past_its_time_limit_is_stopped_with_a_chance_to_say_goodbye(compute: local.LocalCompute) -> None:
    status = ended(compute, step("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", timeout_s=0.3))
    assert (status.state, status.reason) == (model.State.FAILED, "timeout")
    assert compute.logs("r").endswith(b"bye\n")


def test_a_run_that_ignores_the_request_to_end_is_killed_after_its_grace(compute: local.LocalCompute) -> None:
    status = ended(compute, step("trap '' TERM; while :; do sleep 0.05; done", timeout_s=0.2, grace_s=0.3))
    assert status.reason == "timeout"
    assert status.exit is not None and status.exit.signal == signal.SIGKILL


def test_what_the_command_started_may_use_the_grace_after_the_shell_has_died(compute: local.LocalCompute) -> None:
    inner = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('saved', flush=True), sys.exit()))\n"
    inner += "print('ready', flush=True)\nwhile True: time.sleep(0.05)\n"
    compute.start(step(f'python -c "{inner}"; echo never', grace_s=20))
    printed(compute, b"ready")
    compute.cancel("r")
    assert compute.wait("r", 30).state == model.State.CANCELLED
    assert b"saved" in compute.logs("r")


def test_many_small_files_over_the_quota_end_the_run(compute: local.LocalCompute) -> None:
    status = ended(
        compute,
        step("i=0; while :; do i=$((i+1)); head -c 200000 /dev/zero > outputs/f$i; done", quota_bytes=20_000_000),
    )
    assert (status.state, status.reason) == (model.State.FAILED, "disk quota")
    assert "its quota is 20000000" in status.message


def test_one_big_file_cannot_pass_the_quota(compute: local.LocalCompute) -> None:
    status = ended(compute, step("head -c 500000000 /dev/zero > outputs/big || true", quota_bytes=10_000_000))
    assert status.reason == "disk quota"
    assert (compute.code("r") / "outputs" / "big").stat().st_size <= 10_000_000


def test_temporary_files_and_outputs_elsewhere_count_against_the_quota(
    compute: local.LocalCompute, tmp_path: Path
) -> None:
    outputs = {"o": model.Output(tmp_path / "elsewhere")}
    big = "head -c 3000000 /dev/zero"
    command = f"{big} > {tmp_path}/elsewhere/a; {big} > $TMPDIR/b"
    status = ended(compute, step(command, outputs=outputs, quota_bytes=5_000_000))
    assert status.reason == "disk quota"
    assert ended(compute, step(command, "s", outputs=outputs, quota_bytes=50_000_000)).reason == "completed"


def test_cancel_ends_grandchildren_and_those_in_sessions_of_their_own(compute: local.LocalCompute) -> None:
    command = (
        "sleep 1000 & echo $! >> pids; (setsid bash -c 'echo $$ >> pids; exec sleep 1000' &);"
        " bash -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 0.1; done' & "
        "while [ $(wc -l < pids) != 3 ]; do sleep 0.02; done; echo ready; wait"
    )
    compute.start(step(command, grace_s=0.3))
    printed(compute, b"ready")
    pids = [int(line) for line in (compute.code("r") / "pids").read_text().split()]
    assert not any(gone([pid]) for pid in pids)
    compute.cancel("r")
    assert compute.wait("r", 30).state == model.State.CANCELLED
    assert gone(pids)


def test_what_a_finished_command_left_running_is_ended(compute: local.LocalCompute) -> None:
    status = ended(compute, step("(setsid sleep 1000 & echo $! > pid); exit 0"))
    assert status.state == model.State.SUCCEEDED
    assert gone([int((compute.code("r") / "pid").read_text())])


def test_output_streams_while_the_command_runs(compute: local.LocalCompute, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    python = f"import os, time\nprint('first')\nwhile not os.path.exists('{gate}'): time.sleep(0.01)\nprint('second')"
    compute.start(step(f'python -c "{python}"; echo to stderr >&2'))
    printed(compute, b"first\n")
    assert compute.poll("r").state == model.State.RUNNING
    assert b"second" not in compute.logs("r")
    gate.touch()
    compute.wait("r", 30)
    assert compute.logs("r") == b"first\nsecond\nto stderr\n"


def test_a_log_over_its_cap_keeps_its_beginning_and_its_end(compute: local.LocalCompute) -> None:
    run = step("echo begin; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end", log_cap_bytes=1000)
    status = ended(compute, run)
    log = compute.logs("r")
    assert log.startswith(b"begin\nxxx") and log.endswith(b"xxx\nend\n") and b"the log is full" in log
    assert len(log) < 70_000
    assert status.exit is not None and status.exit.log_dropped_bytes > 900_000


def test_the_control_plane_is_killed_and_the_next_one_gets_the_true_exit_code(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"""
import os, pathlib, signal, sys
from doubleloop.compute import local, model
compute = local.LocalCompute(pathlib.Path({str(tmp_path)!r}))
wait = "while [ ! -e {gate} ]; do sleep 0.05; done; exit 7"
compute.start(model.StepRun("r", wait, pathlib.Path(sys.executable)))
os.killpg(0, signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], start_new_session=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    compute = local.LocalCompute(tmp_path)
    assert compute.poll("r").state == model.State.RUNNING
    compute.start(step("exit 0"))  # the repeated step of a recovered workflow
    gate.touch()
    status = compute.wait("r", 30)
    assert status.exit is not None and status.exit.exit_code == 7


def test_many_starts_at_once_run_the_command_once(compute: local.LocalCompute, tmp_path: Path) -> None:
    run = step(f"echo ran >> {tmp_path}/count")
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(compute.start, [run] * 16))
    assert compute.wait("r", 30).state == model.State.SUCCEEDED
    compute.start(run)
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_start_that_was_cut_off_before_its_runner_is_taken_up_again(compute: local.LocalCompute) -> None:
    """The control plane died after ``job.json`` and before the runner: the first order stands."""
    compute.start(step("exit 4"))
    compute.wait("r", 30)
    rundir = compute.directory("s", 1)
    rundir.mkdir(parents=True)
    (rundir / "job.json").write_bytes(compute.directory("r", 1).joinpath("job.json").read_bytes())
    assert compute.poll("s").state == model.State.QUEUED
    status = ended(compute, step("exit 0", "s"))
    assert status.exit is not None and status.exit.exit_code == 4


@pytest.mark.parametrize("reached", ["", "attempt-1", "attempt-1/job.json", "attempt-1/lock", "attempt-1/pid"])
@pytest.mark.parametrize("time", range(3))
def test_a_control_plane_killed_during_the_start_never_yields_two_runs_or_none(
    tmp_path: Path, reached: str, time: int
) -> None:
    """Everything in its process group is killed with it: a launcher that is still starting the runner, too."""
    script = f"""
import pathlib, sys
from doubleloop.compute import local, model
run = model.StepRun("r", "echo ran", pathlib.Path(sys.executable))
local.LocalCompute(pathlib.Path({str(tmp_path)!r})).start(run)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    until((tmp_path / "runs" / "r" / reached).exists)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    compute = local.LocalCompute(tmp_path)
    compute.start(step("echo ran"))
    assert compute.wait("r", 60).state == model.State.SUCCEEDED
    assert compute.logs("r") == b"ran\n"


def tree(compute: local.LocalCompute, grace_s: float = 10) -> tuple[int, int, list[int]]:
    """A running step of several processes: the pids of its supervisor, its keeper, and everything below."""
    compute.start(
        step("sleep 1000 & (setsid sleep 1000 &) ; bash -c 'sleep 1000; true' & echo ready; wait", grace_s=grace_s)
    )
    printed(compute, b"ready")
    supervisor = json.loads(compute.directory("r", 1).joinpath("pid").read_text())["pid"]
    until(lambda: len(process.descendants(supervisor)) == 6)
    keeper, *below = process.descendants(supervisor)
    return supervisor, keeper, below


def test_when_the_runner_is_killed_the_command_dies_too_and_the_run_is_lost(compute: local.LocalCompute) -> None:
    supervisor, _, below = tree(compute)
    os.kill(supervisor, signal.SIGKILL)
    status = compute.wait("r", 30)
    assert (status.state, status.reason) == (model.State.LOST, "killed")
    until(lambda: gone(below))
    compute.start(step("echo again"))
    assert compute.poll("r").state == model.State.LOST
    assert b"again" not in compute.logs("r")


def test_when_the_keeper_is_killed_the_supervisor_ends_the_command(compute: local.LocalCompute) -> None:
    _, keeper, below = tree(compute)
    os.kill(keeper, signal.SIGKILL)
    status = compute.wait("r", 30)
    assert (status.state, status.reason) == (model.State.FAILED, "signal")
    assert gone(below)


def test_sigterm_to_the_runner_ends_the_run_as_terminated(compute: local.LocalCompute) -> None:
    supervisor, _, below = tree(compute)
    os.kill(supervisor, signal.SIGTERM)
    status = compute.wait("r", 30)
    assert (status.state, status.reason) == (model.State.FAILED, "terminated")
    assert gone(below)


def test_a_pid_that_now_belongs_to_another_process_is_not_taken_for_the_runner(compute: local.LocalCompute) -> None:
    supervisor, _, _ = tree(compute)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: compute.poll("r").state == model.State.LOST)
    mine = process.identity(os.getpid())
    assert mine is not None
    pid = compute.directory("r", 1) / "pid"
    pid.write_text(json.dumps(mine))
    assert compute.poll("r").state == model.State.RUNNING
    pid.write_text(json.dumps({**mine, "started": mine["started"] - 1}))
    assert compute.poll("r").state == model.State.LOST
    pid.write_text(json.dumps({**mine, "boot": "another"}))
    assert compute.poll("r").state == model.State.LOST


def test_the_command_works_on_a_writable_copy_of_the_code(compute: local.LocalCompute, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "sub").mkdir(parents=True)
    (code / "sub" / "a.txt").write_text("old")
    (code / "sub" / "a.txt").chmod(0o444)
    (code / "sub").chmod(0o555)
    status = ended(compute, step("echo new > sub/a.txt && echo more > sub/b.txt && ls -d outputs logs", code=code))
    assert status.state == model.State.SUCCEEDED, compute.logs("r")
    assert compute.logs("r") == b"logs\noutputs\n"
    assert (code / "sub" / "a.txt").read_text() == "old"
    assert not (code / "outputs").exists()


def test_the_command_sees_only_the_variables_it_was_given(
    compute: local.LocalCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROL_PLANE_SECRET", "hush")
    ended(
        compute, step("env; cat /proc/$PPID/environ | tr '\\0' '\\n'", env={"MY_OWN": "ein Wert mit ümlaut\nund Zeile"})
    )
    log = compute.logs("r").decode()
    assert "CONTROL_PLANE_SECRET" not in log
    assert "MY_OWN=ein Wert mit ümlaut\nund Zeile" in log


def test_code_that_is_not_there_is_a_failure_of_the_setup(compute: local.LocalCompute, tmp_path: Path) -> None:
    status = ended(compute, step("true", code=tmp_path / "absent"))
    assert (status.state, status.reason) == (model.State.FAILED, "setup")
    assert "absent" in status.message


def test_an_interpreter_that_is_not_there_is_told_with_its_cure(compute: local.LocalCompute) -> None:
    with pytest.raises(errors.Failed, match="Build its environment again"):
        compute.start(model.StepRun("r", "true", Path("/nowhere/python")))


def test_a_name_that_could_leave_the_folder_is_refused(compute: local.LocalCompute) -> None:
    with pytest.raises(errors.InvalidInput):
        compute.start(step("true", "../../etc"))


def test_used_memory_and_cpu_are_told(compute: local.LocalCompute) -> None:
    status = ended(compute, step('python -c "x = bytearray(80_000_000); sum(range(3_000_000))"'))
    assert status.exit is not None
    assert status.exit.max_rss > 80_000_000
    assert status.exit.cpu_seconds > 0.01


@pytest.mark.parametrize(("deaths", "runs"), [(1, True), (2, True), (3, False)])
def test_a_runner_that_is_killed_before_it_holds_the_run_is_started_again(
    compute: local.LocalCompute, tmp_path: Path, deaths: int, runs: bool
) -> None:
    count = tmp_path / "count"
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -le {deaths} ] && kill -9 $$\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    run = model.StepRun("r", "echo once", python)
    if runs:
        compute.start(run)
        assert compute.wait("r", 60).state == model.State.SUCCEEDED
        assert compute.logs("r") == b"once\n"
    else:
        with pytest.raises(errors.Failed, match="could not be started"):
            compute.start(run)
