"""Ends that nobody wished for: cancelled, lost, and what a retry makes of them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.compute import ports as compute_ports
from doubleloop.compute.fake import FakeCompute, Play
from doubleloop.jobs import commands, queries, workflows
from doubleloop.jobs.model import Job, Status
from doubleloop.settings.model import Settings

PATIENCE_S = 60


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@contextmanager
def working(shop: Workshop) -> Iterator[None]:
    """The engine carries everything out while the body looks and meddles; leaving waits for its end."""
    thread = threading.Thread(target=shop.engine.run, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def cancel(shop: Workshop, job: Job, user: str = "ada") -> None:
    with shop.house.write(user) as ctx:
        commands.cancel(ctx, job.id)


def slow_then(shop: Workshop, rest: str = "") -> str:
    begun = shop.house.home.parent / "begun"
    return f"""
    type: pipeline
    jobs:
      slow:
        command: touch {begun}; sleep 600
        environment: azureml:base@latest
        outputs: {{out: {{type: uri_folder}}}}
      after:
        command: echo never
        environment: azureml:base@latest
        inputs: {{x: "${{{{parent.jobs.slow.outputs.out}}}}"}}
    {rest}
    """


def test_cancel_stops_the_process_and_the_job_is_cancelled(shop: Workshop) -> None:
    job = shop.submit(slow_then(shop))
    with working(shop):
        until((shop.house.home.parent / "begun").exists)
        cancel(shop, job)
        cancel(shop, job)  # twice is harmless
    job, steps = shop.job(job.id), shop.steps(job.id)
    assert (job.status, job.error) == (Status.CANCELLED, "cancelled by ada")
    assert {step.status for step in steps.values()} == {Status.CANCELLED}
    assert shop.compute.poll(steps["slow"].run).state.ended
    assert [fact.type for fact in shop.facts("job.failed", "job.cancelled", "step.failed")] == ["job.cancelled"]
    assert shop.tracking.runs[str(job.run_id)]["status"] == "KILLED"
    assert [fact.type for fact in shop.facts("token.revoked")] == ["token.revoked"]


def test_a_job_cancelled_before_it_began_never_runs(shop: Workshop) -> None:
    job = shop.submit("{type: command, command: touch ran, environment: azureml:base@latest}")
    cancel(shop, job)
    shop.engine.run()
    assert shop.job(job.id).status is Status.CANCELLED
    assert shop.facts("step.started") == []


def test_what_has_ended_cannot_be_cancelled(shop: Workshop) -> None:
    job = shop.run("{type: command, command: echo hi, environment: azureml:base@latest}")
    with shop.house.write() as ctx, pytest.raises(errors.Conflict, match="completed"):
        commands.cancel(ctx, job.id)


def test_retry_runs_failed_steps_only(shop: Workshop, tmp_path: Path) -> None:
    text = f"""
    type: pipeline
    outputs: {{end: {{type: uri_file}}}}
    jobs:
      good:
        command: echo 1 > ${{{{outputs.out}}}}; echo once >> {tmp_path}/good
        environment: azureml:base@latest
        outputs: {{out: {{type: uri_file}}}}
      bad:
        command: test -e {tmp_path}/mended && cp ${{{{inputs.x}}}} ${{{{outputs.out}}}}
        environment: azureml:base@latest
        inputs: {{x: "${{{{parent.jobs.good.outputs.out}}}}"}}
        outputs: {{out: {{type: uri_file}}}}
      last:
        command: cp ${{{{inputs.x}}}} ${{{{outputs.out}}}}
        environment: azureml:base@latest
        inputs: {{x: "${{{{parent.jobs.bad.outputs.out}}}}"}}
        outputs: {{out: "${{{{parent.outputs.end}}}}"}}
    """
    job = shop.run(text)
    assert job.status is Status.FAILED
    (tmp_path / "mended").touch()
    with shop.house.write() as ctx:
        assert commands.retry(ctx, job.id).status is Status.QUEUED
    shop.engine.run()
    job, steps = shop.job(job.id), shop.steps(job.id)
    assert (job.status, job.error, job.round) == (Status.COMPLETED, "", 2)
    assert {name: step.attempt for name, step in steps.items()} == {"good": 1, "bad": 2, "last": 1}
    assert (tmp_path / "good").read_text() == "once\n"
    assert shop.text(job.outputs["end"]) == "1\n"
    with shop.house.read() as ctx:
        (earlier,) = queries.attempts(ctx, job.id, "bad")
        assert (earlier["attempt"], earlier["status"], earlier["exit_code"]) == (1, "failed", 1)
        assert b"exited with code 1" in queries.log(ctx, job.id, "bad", attempt=1)[0]


def test_what_is_completed_or_runs_cannot_be_retried(shop: Workshop) -> None:
    job = shop.submit("{type: command, command: echo hi, environment: azureml:base@latest}")
    with shop.house.write() as ctx, pytest.raises(errors.Conflict, match="queued"):
        commands.retry(ctx, job.id)
    shop.engine.run()
    with shop.house.write() as ctx, pytest.raises(errors.Conflict, match="nothing to retry"):
        commands.retry(ctx, job.id)


def test_a_step_whose_runner_is_killed_runs_again_by_itself(shop: Workshop, tmp_path: Path) -> None:
    job = shop.submit(f"""
    type: command
    command: echo run >> {tmp_path}/runs; if [ $(wc -l < {tmp_path}/runs) = 1 ]; then sleep 600; fi
    environment: azureml:base@latest
    """)
    with working(shop):
        until(lambda: (tmp_path / "runs").exists() and (tmp_path / "runs").read_text())
        _kill_supervisor(shop, f"{job.id}.command")
    job, step = shop.job(job.id), shop.steps(job.id)["command"]
    assert (job.status, step.attempt, step.losses) == (Status.COMPLETED, 2, 1)
    assert [fact.data["lost"] for fact in shop.facts("step.failed")] == [True]


def _kill_supervisor(shop: Workshop, run: str) -> None:
    who = json.loads((shop.compute.directory(run, 1) / "pid").read_text())
    os.kill(who["pid"], signal.SIGKILL)


def test_a_step_that_is_lost_twice_has_failed(shop: Workshop) -> None:
    fake = FakeCompute(lambda run: Play(hold=True))
    shop.house.ports[compute_ports.Compute] = fake
    job = shop.submit("{type: command, command: echo hi, environment: azureml:base@latest}")
    with working(shop):
        for number in (1, 2):
            until(lambda number=number: len(fake.started) == number)
            fake.lose(f"{job.id}.command")
    job, step = shop.job(job.id), shop.steps(job.id)["command"]
    assert (job.status, step.attempt, step.losses, step.lost) == (Status.FAILED, 2, 2, True)
    assert "runner was killed" in job.error and "job retry" in job.error


def test_a_lost_signal_does_not_hang_the_job(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait of the job times out at once (``expire``) and no signal is delivered: it ends all the same."""
    monkeypatch.setattr(workflows.finishing.durable, "signal", lambda *_, **__: None)
    shop.engine.expire = True
    job = shop.run("{type: command, command: echo hi, environment: azureml:base@latest}")
    assert job.status is Status.COMPLETED


def test_a_tracking_server_that_comes_late_is_waited_for(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = type(shop.tracking).create_run, []

    def create_run(*arguments, **options):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) < 3:
            raise errors.Unavailable("MLflow's server does not answer")
        return original(*arguments, **options)

    monkeypatch.setattr(type(shop.tracking), "create_run", create_run)
    assert shop.run("{type: command, command: echo hi, environment: azureml:base@latest}").status is Status.COMPLETED
    assert len(calls) == 3


def test_a_tracking_server_that_stays_away_fails_the_step_with_its_words(shop: Workshop) -> None:
    def create_run(*arguments, **options):  # type: ignore[no-untyped-def]
        raise errors.Unavailable("MLflow's server does not answer", cure="`doubleloop status` shows its state.")

    shop.tracking.create_run = create_run  # type: ignore[method-assign]
    job = shop.run("{type: command, command: echo hi, environment: azureml:base@latest}")
    assert job.status is Status.FAILED
    assert "MLflow's server does not answer" in job.error and "doubleloop status" in job.error


def test_an_error_of_our_own_fails_the_step_and_never_hangs_the_job(shop: Workshop) -> None:
    def prepare(*arguments, **options):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError("by accident")

    shop.environments.prepare = prepare  # type: ignore[method-assign]
    job = shop.run("{type: command, command: echo hi, environment: azureml:base@latest}")
    assert job.status is Status.FAILED
    assert "Doubleloop itself failed: ZeroDivisionError: by accident" in job.error


def test_a_run_that_its_code_ended_already_is_no_matter(shop: Workshop) -> None:
    shop.house.ports[compute_ports.Compute] = FakeCompute(
        lambda run: Play(act=lambda each: shop.tracking.of("dev").end_run(each.env["MLFLOW_RUN_ID"], "FINISHED"))
    )
    job = shop.run("{type: command, command: echo hi, environment: azureml:base@latest}")
    assert job.status is Status.COMPLETED


def test_the_disk_quota_of_the_settings_ends_the_step(shop: Workshop) -> None:
    shop.house.ports[Settings] = replace(shop.house.ports[Settings], step_quota=10 * 2**20)
    job = shop.run("""
    type: command
    command: head -c 50000000 /dev/zero > ${{outputs.out}}/big; sleep 60
    environment: azureml:base@latest
    outputs: {out: {type: uri_folder}}
    """)
    assert job.status is Status.FAILED
    assert "quota" in job.error and "DOUBLELOOP_STEP_QUOTA" in job.error


def test_the_log_streams_while_the_step_runs_and_reads_the_same_afterwards(shop: Workshop) -> None:
    go_on = shop.house.home.parent / "go-on"
    job = shop.submit(f"""
    type: command
    command: echo first; until [ -e {go_on} ]; do sleep 0.05; done; echo second
    environment: azureml:base@latest
    """)
    seen, is_end = b"", False

    def look() -> bytes:
        nonlocal seen, is_end
        with shop.house.read() as ctx:
            chunk, is_end = queries.log(ctx, job.id, "command", len(seen))
        seen += chunk
        return seen

    with working(shop):
        until(lambda: b"first" in look())
        assert not is_end and b"second" not in seen
        go_on.touch()
    while not is_end:
        look()
    assert seen.decode() == shop.log(job.id)
    assert b"second" in seen
