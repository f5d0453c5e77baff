"""Sweeps as jobs: trials are steps of the job, the best one's outputs are the sweep's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.jobs import commands
from doubleloop.jobs.model import Job, Status
from doubleloop.tracking import ports as tracking_ports
from doubleloop.tracking.fake import MemoryTracking


class FolderTracking(MemoryTracking):
    """Metrics are lines of a file named like the run, so that commands can log without a client."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        file = self.folder / run_id
        lines = file.read_text().split() if file.exists() and key == "loss" else []
        return [(step, float(value)) for step, value in enumerate(lines)]


@pytest.fixture
def metrics(shop: Workshop, tmp_path: Path) -> Path:
    folder = tmp_path / "metrics"
    folder.mkdir()
    shop.tracking = FolderTracking(folder)
    shop.house.ports[tracking_ports.Tracking] = shop.tracking
    return folder


SWEEP = """
    type: sweep
    display_name: tuned
    trial:
      command: >-
        echo ${{search_space.x}} >> METRICS/$MLFLOW_RUN_ID;
        echo "${{inputs.word}} ${{search_space.x}} ${{search_space.kind}}" > ${{outputs.model}}
      environment: azureml:base@latest
    inputs: {word: hello}
    outputs: {model: {type: uri_file, name: best-model}}
    sampling_algorithm: grid
    search_space:
      x: {type: choice, values: [3, 1, 2]}
      kind: {type: choice, values: [a]}
    objective: {goal: minimize, primary_metric: loss}
    limits: {max_total_trials: 10, max_concurrent_trials: 2}
"""


def trials(shop: Workshop, job: Job, step: str = "sweep") -> dict[str, str]:
    return {name: each.status for name, each in shop.steps(job.id).items() if name.startswith(f"{step}.")}


def test_the_best_trials_outputs_are_the_sweeps_and_registered_once(shop: Workshop, metrics: Path) -> None:
    job = shop.run(SWEEP.replace("METRICS", str(metrics)))
    assert (job.status, job.error, job.kind) == (Status.COMPLETED, "", "sweep")
    assert trials(shop, job) == {"sweep.0": "completed", "sweep.1": "completed", "sweep.2": "completed"}
    assert shop.text(job.outputs["model"]) == "hello 1 a\n"
    assert job.outputs["model"]["asset"].endswith("best-model:1")
    assert [each.outputs["model"].get("asset") for each in shop.steps(job.id).values()].count(None) == 3


def test_trials_are_child_runs_with_their_values_and_the_sweeps_run_names_the_best(
    shop: Workshop, metrics: Path
) -> None:
    job = shop.run(SWEEP.replace("METRICS", str(metrics)))
    runs, steps = shop.tracking.runs, shop.steps(job.id)
    parent = runs[str(job.run_id)]
    assert (parent["name"], parent["status"]) == ("tuned", "FINISHED")
    assert parent["tags"]["best_child_run_id"] == steps["sweep.1"].run_id
    assert parent["metrics"] == {"loss": 1.0}
    child = runs[str(steps["sweep.1"].run_id)]
    assert child["tags"]["mlflow.parentRunId"] == job.run_id
    assert json.loads(child["tags"]["hyperparameters"]) == {"kind": "a", "x": 1}
    assert "trial 1 (kind=a, x=1): completed, loss = 1" in shop.log(job.id, "sweep")


def test_a_failed_trial_does_not_fail_the_sweep_but_all_of_them_do(shop: Workshop, metrics: Path) -> None:
    text = SWEEP.replace("METRICS", str(metrics))
    some = shop.run(text.replace("echo ${{search_space.x}} >>", "[ ${{search_space.x}} = 1 ] && exit 4; echo 5 >>"))
    assert some.status is Status.COMPLETED
    assert trials(shop, some)["sweep.1"] == "failed"
    none = shop.run(text.replace("echo ${{search_space.x}} >>", "exit 4; echo 5 >>"))
    assert none.status is Status.FAILED and "no trial was completed" in none.error
    silent = shop.run(text.replace("primary_metric: loss", "primary_metric: other"))
    assert silent.status is Status.FAILED
    assert "no trial logged the metric 'other' to MLflow" in silent.error
    with shop.house.write() as ctx, pytest.raises(errors.Conflict):
        commands.retry(ctx, some.id)  # it is completed: its failed trial is not run again


IN_A_PIPELINE = """
    type: pipeline
    jobs:
      tune:
        type: sweep
        trial:
          name: trial
          command: >-
            echo ${{inputs.x}} >> METRICS/$MLFLOW_RUN_ID; echo ${{inputs.x}} ${{inputs.fixed}} > ${{outputs.model}}
          environment: azureml:base@latest
          inputs: {x: {type: number}, fixed: {type: integer, default: 7}}
          outputs: {model: {type: uri_file}}
        search_space: {x: {type: quniform, min_value: 0, max_value: 10, q: 1}}
        sampling_algorithm: {type: random, seed: 3}
        objective: {goal: maximize, primary_metric: loss}
        limits: {max_total_trials: 4, max_concurrent_trials: 4}
      use:
        command: cat ${{inputs.model}}
        environment: azureml:base@latest
        inputs: {model: "${{parent.jobs.tune.outputs.model}}"}
"""


def test_a_sweep_in_a_pipeline_hands_its_best_on_and_is_reused_trial_by_trial(shop: Workshop, metrics: Path) -> None:
    text = IN_A_PIPELINE.replace("METRICS", str(metrics))
    job = shop.run(text)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    tried = {name: each.task.trial["x"] for name, each in shop.steps(job.id).items() if name.startswith("tune.")}
    best = max(tried.values())
    assert f"{best} 7" in shop.log(job.id, "use").splitlines()
    again = shop.run(text)
    assert again.status is Status.COMPLETED
    reused = {name: each.reused_from for name, each in shop.steps(again.id).items() if name != "tune"}
    assert all(reused.values()), reused


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_given_up_while_it_runs(shop: Workshop, metrics: Path) -> None:
    text = SWEEP.replace("METRICS", str(metrics)).replace(
        "10, max_concurrent_trials: 2", "10, max_concurrent_trials: 3"
    )
    command = "[ ${{search_space.x}} = 3 ] && until [ -e METRICS/go ]; do sleep 0.05; done;".replace(
        "METRICS", str(metrics)
    )
    text = text.replace('echo "', f'{command} echo "').replace(
        "    limits:", "    early_termination: {type: bandit, slack_factor: 0.1}\n    limits:"
    )
    job = shop.run(text)
    (metrics / "go").touch()
    assert job.status is Status.COMPLETED
    assert trials(shop, job) == {"sweep.0": "cancelled", "sweep.1": "completed", "sweep.2": "completed"}
    # Whichever of the others was looked at first.
    said = r"given up after 1 values of the metric: 3 is outside the slack of the best, [12] \(bandit\)"
    assert re.search(said, str(shop.steps(job.id)["sweep.0"].reason))


@pytest.mark.slow
def test_a_sweep_out_of_time_ends_with_the_best_it_has(shop: Workshop, metrics: Path) -> None:
    text = SWEEP.replace("METRICS", str(metrics)).replace(
        "max_concurrent_trials: 2", "max_concurrent_trials: 3, timeout: 3"
    )
    shop.engine.expire = True  # a sweep with a clock looks at it by itself
    text = text.replace('echo "', '[ ${{search_space.x}} = 1 ] && sleep 1000; echo "')
    job = shop.run(text)
    assert job.status is Status.COMPLETED
    assert trials(shop, job)["sweep.1"] == "cancelled"
    assert shop.text(job.outputs["model"]) == "hello 2 a\n"


@pytest.mark.parametrize(
    ("old", "new", "says", "line"),
    [
        ("values: [3, 1, 2]", "values: []", "at least 1 item", 13),
        ("{type: choice, values: [3, 1, 2]}", "{type: uniform, min_value: 2, max_value: 1}", "must be less than", 13),
        ("${{search_space.kind}}", "${{search_space.knd}}", "the parameter 'knd' does not exist", 5),
        ("sampling_algorithm: grid", "sampling_algorithm: bayes", "must be one of random, grid, bayesian", 11),
        ("{type: choice, values: [3, 1, 2]}", "{type: normal, mu: 1, sigma: 2}", "grid sampling cannot go through", 11),
        ("goal: minimize", "goal: smaller", "must be one of minimize, maximize", 15),
        ("max_total_trials: 10, ", "", "'max_total_trials' is missing", 16),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_work_is_refused_with_its_line(
    shop: Workshop, old: str, new: str, says: str, line: int
) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        shop.submit(SWEEP.replace(old, new))
    assert says in str(caught.value)
    assert caught.value.where and caught.value.where.line == line, str(caught.value)
