"""What every compute promises, asked of the one that runs processes and of the scripted one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.compute import fake, local, model, ports

SCRIPT = {
    "true": fake.Play(log=b"done\n"),
    "false": fake.Play(exit_code=1),
    "wait": fake.Play(hold=True),
    "write": fake.Play(act=lambda run: [out.path.write_text("12345") for out in run.outputs.values()]),
}
COMMANDS = {
    "true": "echo done",
    "false": "exit 1",
    "wait": 'while [ ! -e "$GATE" ]; do sleep 0.05; done',
    "write": 'printf 12345 > "$OUT"',
}


@dataclass
class Subject:
    compute: ports.Compute
    run: Callable[..., model.StepRun]
    release: Callable[[str], None]


@pytest.fixture(params=["local", "fake"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    gate = tmp_path / "gate"

    def step(id: str, does: str, **more: object) -> model.StepRun:
        command = COMMANDS[does] if request.param == "local" else does
        env = {"GATE": str(gate), "OUT": str(tmp_path / "out")}
        return model.StepRun(id, command, Path(sys.executable), env=env, **more)  # type: ignore[arg-type]

    if request.param == "local":
        compute = local.LocalCompute(tmp_path)
        yield Subject(compute, step, lambda id: gate.touch())
        gate.touch()
    else:
        scripted = fake.FakeCompute(lambda run: SCRIPT[run.command])
        yield Subject(scripted, step, scripted.finish)


def test_a_command_that_ends_well_has_succeeded_and_its_log_is_there(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "true"))
    status = subject.compute.wait("r", 30)
    assert (status.state, status.reason) == (model.State.SUCCEEDED, "completed")
    assert status.exit is not None and status.exit.exit_code == 0
    assert subject.compute.logs("r") == b"done\n"
    assert subject.compute.logs("r", 2) == b"ne\n"
    assert subject.compute.logs("r", 99) == b""


def test_exit_code_1_has_failed(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "false"))
    status = subject.compute.wait("r", 30)
    assert (status.state, status.reason) == (model.State.FAILED, "exit code")
    assert status.exit is not None and status.exit.exit_code == 1


def test_wait_gives_up_at_its_timeout_while_the_run_goes_on(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "wait"))
    assert subject.compute.wait("r", 0.01).state == model.State.RUNNING
    subject.release("r")
    assert subject.compute.wait("r", 30).state == model.State.SUCCEEDED


def test_cancel_ends_a_run_and_does_nothing_to_an_ended_one(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "wait"))
    subject.compute.cancel("r")
    assert subject.compute.wait("r", 30).state == model.State.CANCELLED
    subject.compute.start(subject.run("s", "true"))
    subject.compute.wait("s", 30)
    subject.compute.cancel("s")
    assert subject.compute.poll("s").state == model.State.SUCCEEDED


def test_a_second_start_of_the_same_attempt_reattaches_and_another_attempt_is_another_run(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "false"))
    subject.compute.wait("r", 30)
    subject.compute.start(subject.run("r", "true"))
    assert subject.compute.wait("r", 30).state == model.State.FAILED
    subject.compute.start(subject.run("r", "true", attempt=2))
    assert subject.compute.wait("r", 30).state == model.State.SUCCEEDED
    assert subject.compute.poll("r", 1).state == model.State.FAILED


def test_a_run_that_was_never_started_is_not_found(subject: Subject) -> None:
    with pytest.raises(errors.NotFound, match="never started"):
        subject.compute.poll("nobody")
    subject.compute.start(subject.run("r", "true"))
    subject.compute.wait("r", 30)
    with pytest.raises(errors.NotFound):
        subject.compute.logs("r", attempt=2)


def test_what_became_of_each_output_is_told(subject: Subject, tmp_path: Path) -> None:
    outputs = {"o": model.Output(tmp_path / "out", "uri_file")}
    subject.compute.start(subject.run("r", "write", outputs=outputs))
    status = subject.compute.wait("r", 30)
    assert status.exit is not None and status.exit.outputs["o"] == model.Produced("file", 1, 5)
    subject.compute.start(subject.run("s", "true", outputs={"o": model.Output(tmp_path / "none", "uri_file")}))
    status = subject.compute.wait("s", 30)
    assert status.exit is not None and status.exit.outputs["o"].kind == "missing"


def test_a_waiter_in_another_thread_is_woken(subject: Subject) -> None:
    subject.compute.start(subject.run("r", "wait"))
    seen: list[model.Status] = []
    waiter = threading.Thread(target=lambda: seen.append(subject.compute.wait("r")))
    waiter.start()
    subject.release("r")
    waiter.join(30)
    assert seen[0].state == model.State.SUCCEEDED
