"""Jobs on the real durable engine, in a worker process that is killed with -9 and started again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobs_worker import HERE
from jobs_workshop import Workshop

from doubleloop.events import queries as events
from doubleloop.jobs import commands
from doubleloop.jobs.model import ENDED, Job, Status

PATIENCE_S = 120


class Worker:
    def __init__(self, home: Path, starter: subprocess.Popen[str]) -> None:
        self._home = home
        self._starter = starter
        self._pid = 0

    def start(self) -> None:
        self._pid = int(self._ask(f"start {self._home}"))
        assert self._pid > 0, self.log()

    def kill(self) -> None:
        if self._pid > 0:
            assert self._ask(f"kill {self._pid}") == "dead"
            self._pid = 0

    def _ask(self, line: str) -> str:
        assert self._starter.stdin and self._starter.stdout
        print(line, file=self._starter.stdin, flush=True)
        return self._starter.stdout.readline().strip()

    def log(self) -> str:
        return (self._home / "worker.log").read_text()


@pytest.fixture(scope="module")
def starter() -> Iterator[subprocess.Popen[str]]:
    """What the workers are forked from."""
    running = subprocess.Popen(
        [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    with running:
        yield running


@pytest.fixture
def worker(shop: Workshop, starter: subprocess.Popen[str]) -> Iterator[Worker]:
    made = Worker(shop.house.home, starter)
    yield made
    made.kill()


def until(worker: Worker, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, worker.log()[-3000:]
        time.sleep(0.02)


def ended(shop: Workshop, job: Job) -> Callable[[], bool]:
    return lambda: shop.job(job.id).status in ENDED


def runs(shop: Workshop) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((shop.house.home / "tracking.json").read_text())
    return found


def slow(tmp_path: Path) -> str:
    return f"""
    type: command
    command: >-
      echo run >> {tmp_path}/runs; until [ -e {tmp_path}/go-on ]; do sleep 0.05; done;
      echo written > ${{{{outputs.out}}}}
    environment: azureml:base@latest
    outputs: {{out: {{type: uri_file}}}}
    """


@pytest.mark.slow
def test_a_worker_killed_in_mid_step_finds_the_step_again_and_its_command_runs_once(
    shop: Workshop, worker: Worker, tmp_path: Path
) -> None:
    worker.start()
    job = shop.submit(slow(tmp_path))
    until(worker, (tmp_path / "runs").exists)
    worker.kill()
    worker.start()
    (tmp_path / "go-on").touch()
    until(worker, ended(shop, job))
    job = shop.job(job.id)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert (tmp_path / "runs").read_text() == "run\n"
    assert shop.text(job.outputs["out"]) == "written\n"
    assert shop.steps(job.id)["command"].attempt == 1
    assert len(runs(shop)) == 1


@pytest.mark.slow
def test_a_step_that_ended_while_no_worker_was_there_is_taken_as_it_ended(
    shop: Workshop, worker: Worker, tmp_path: Path
) -> None:
    worker.start()
    job = shop.submit(slow(tmp_path))
    until(worker, (tmp_path / "runs").exists)
    worker.kill()
    (tmp_path / "go-on").touch()
    until(worker, lambda: shop.compute.poll(f"{job.id}.command").state.ended)
    worker.start()
    until(worker, ended(shop, job))
    assert shop.job(job.id).status is Status.COMPLETED
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.slow
def test_a_cancel_that_came_while_no_worker_was_there_is_carried_out(
    shop: Workshop, worker: Worker, tmp_path: Path
) -> None:
    worker.start()
    job = shop.submit(slow(tmp_path))
    until(worker, (tmp_path / "runs").exists)
    worker.kill()
    with shop.house.write() as ctx:
        commands.cancel(ctx, job.id)
    worker.start()
    until(worker, ended(shop, job))
    assert shop.job(job.id).status is Status.CANCELLED
    until(worker, lambda: shop.compute.poll(f"{job.id}.command").state.ended)


@pytest.mark.slow
def test_a_pipeline_whose_worker_is_killed_again_and_again_ends_as_if_nothing_had_been(
    shop: Workshop, worker: Worker, tmp_path: Path
) -> None:
    """Kills at random moments; each command ran once, each step has one run, and the chain of facts is whole."""
    chance = random.Random(7)
    steps = "".join(
        f"""
      s{number}:
        command: echo {number} >> {tmp_path}/runs; sleep 0.2; echo {number} > ${{{{outputs.out}}}}
        environment: azureml:base@latest
        inputs: {{{", ".join(f'i{n}: "${{{{parent.jobs.s{n}.outputs.out}}}}"' for n in needs)}}}
        outputs: {{out: {{type: uri_file}}}}"""
        for number, needs in enumerate([[], [0], [0], [1, 2], [3], [3]])
    )
    worker.start()
    job = shop.submit(f"\n    type: pipeline\n    jobs:{steps}\n")
    for _ in range(8):
        pause = time.monotonic() + chance.uniform(0.05, 1.2)
        while time.monotonic() < pause and not ended(shop, job)():
            time.sleep(0.01)
        worker.kill()
        worker.start()
    until(worker, ended(shop, job))
    job = shop.job(job.id)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert sorted((tmp_path / "runs").read_text().split()) == list("012345")
    assert {step.attempt for step in shop.steps(job.id).values()} == {1}
    tags = [run["tags"]["doubleloop.key"] for run in runs(shop).values()]  # type: ignore[index]
    assert len(tags) == len(set(tags)) == 7
    with shop.house.read("service:setup", None) as ctx:
        assert events.verify(ctx).whole
    counted = [fact.type for fact in shop.facts()]
    assert (counted.count("step.completed"), counted.count("job.completed")) == (6, 1)


@pytest.mark.slow
def test_loops_and_sweeps_whose_worker_is_killed_again_and_again_run_each_round_and_trial_once(
    shop: Workshop, worker: Worker, tmp_path: Path
) -> None:
    chance = random.Random(11)
    metrics = shop.house.home / "metrics"
    metrics.mkdir()
    text = """
    type: pipeline
    jobs:
      body:
        command: echo round >> RUNS; sleep 0.3; echo $(( ${{inputs.n}} + 1 )) > ${{outputs.n}}
        environment: azureml:base@latest
        inputs: {n: 0}
        outputs: {n: {type: integer}}
      loop:
        type: do_while
        body: ${{parent.jobs.body}}
        mapping: {n: n}
        limits: {max_iteration_count: 3}
      tune:
        type: sweep
        trial:
          command: echo trial >> RUNS; sleep 0.3; echo ${{inputs.x}} > METRICS/$MLFLOW_RUN_ID
          environment: azureml:base@latest
          inputs: {x: {type: integer}, after: {type: integer}}
        inputs: {after: "${{parent.jobs.loop.outputs.n}}"}
        search_space: {x: {type: choice, values: [4, 2, 3]}}
        sampling_algorithm: grid
        objective: {goal: minimize, primary_metric: loss}
        limits: {max_total_trials: 3, max_concurrent_trials: 2}
    """
    worker.start()
    job = shop.submit(text.replace("RUNS", str(tmp_path / "runs")).replace("METRICS", str(metrics)))
    for _ in range(6):
        pause = time.monotonic() + chance.uniform(0.2, 1.5)
        while time.monotonic() < pause and not ended(shop, job)():
            time.sleep(0.01)
        worker.kill()
        worker.start()
    until(worker, ended(shop, job))
    job = shop.job(job.id)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert sorted((tmp_path / "runs").read_text().split()) == ["round"] * 3 + ["trial"] * 3
    steps = shop.steps(job.id)
    assert {step.attempt for step in steps.values()} == {1}
    assert steps["loop"].outputs["n"]["value"] == 3
    assert runs(shop)[str(steps["tune"].run_id)]["tags"]["best_child"] == "tune.1"  # type: ignore[index]
