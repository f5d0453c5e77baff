"""What an AutoML job does next: pure questions with pure answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doubleloop.jobs import algorithms, learning, queries, trainer
from doubleloop.jobs.model import Kind, Status, Step, Task
from doubleloop.specs.kinds import automl

TRAINER = {learning.TRAINER: {"code": "tree:sha256:" + "a" * 64, "python": "3.11", "packages": ["numpy"]}}


def group(limits: dict[str, Any] | None = None, training: dict[str, Any] | None = None, **fields: Any) -> Task:
    wanted = automl.AutomlJob.model_validate({
        "type": "automl", "task": "classification", "target_column_name": "y", "primary_metric": "accuracy",
        "training_data": {"path": "azureml:t:1"}, "limits": {"max_trials": 3, **(limits or {})},
        "training": {"enable_stack_ensemble": False, "enable_model_explainability": False, **(training or {})},
        **fields,
    })  # fmt: skip
    inputs = {name: {"type": "mltable", "reference": f"azureml:{name}:1"} for name in wanted.inputs}
    return Task(
        "automl", "", "", inputs=inputs, outputs={"best_model": {"type": "mlflow_model"}}, kind=Kind.AUTOML,
        settings=learning.settings(wanted), display_name="a",
    )  # fmt: skip


def ended(task: Task, status: Status = Status.COMPLETED) -> Step:
    return Step("j", task.name, task, status, 1, run_id=f"run-{task.name}", outputs={name: {} for name in task.outputs})


def play(asked: Task, values: list[float | None], seconds: float = 0) -> tuple[list[Step], dict[str, Any], Any]:
    """Every step ends with the next value (None: it fails) until the group has ended; the steps and the last growth."""
    steps: list[Step] = []
    seen: dict[str, Any] = dict(TRAINER)
    given = iter(values)
    for _ in range(200):
        growth = learning.grow(asked, steps, seen, seconds)
        if growth.end:
            return steps, seen, growth
        assert growth.add, "it neither ends nor goes on"
        for task in growth.add:
            value = next(given)
            steps.append(ended(task, Status.FAILED if value is None else Status.COMPLETED))
            seen[task.name] = {"values": [] if value is None else [value], "final": True}
    raise AssertionError("it never ends")


def test_trials_then_the_vote_then_the_best_models_outputs() -> None:
    steps, _, growth = play(group(), [0.7, 0.9, None, 0.8])
    assert [step.name for step in steps] == ["automl.0", "automl.1", "automl.2", "automl.vote"]
    assert (growth.end, growth.best, growth.outputs) == (
        Status.COMPLETED, "automl.1", {"best_model": ("automl.1", "best_model")}
    )  # fmt: skip
    vote = steps[-1].task  # the best first, and no trial that failed
    assert [vote.inputs[f"best_model_{n}"]["step"] for n in range(2)] == ["automl.1", "automl.0"]
    assert "best_model_2" not in vote.inputs
    _, _, growth = play(group(), [0.7, 0.9, None, 0.95])
    assert growth.best == "automl.vote"


def test_both_ensembles_keep_to_the_trials_at_once_and_a_report_is_of_the_best() -> None:
    training = {"enable_stack_ensemble": True, "enable_model_explainability": True}
    steps, _, _ = play(group({"max_trials": 2}, training), [0.7, 0.8, 0.75, 0.9, 0.0])
    assert [step.name for step in steps[2:]] == ["automl.vote", "automl.stack", "automl.report"]
    assert steps[-1].task.inputs["best_model"] == {"type": None, "step": "automl.stack", "output": "best_model"}
    steps, _, growth = play(group({"max_trials": 1}, {}, test_data={"path": "azureml:u:1"}), [0.7, 0.2])
    assert [step.name for step in steps] == ["automl.0", "automl.report"]  # one model needs no vote
    assert growth.best == "automl.0"  # a report is no trial, whatever it measured


def test_less_is_better_of_an_error() -> None:
    asked = group(task="regression", primary_metric="normalized_root_mean_squared_error")
    _, _, growth = play(asked, [0.3, 0.1, 0.2, 0.15])
    assert growth.best == "automl.1"


def test_a_job_fails_when_all_its_trials_do_and_says_why() -> None:
    _, _, growth = play(group({"max_trials": 2}), [None, None])
    assert growth.end is Status.FAILED and growth.reason.startswith("no trial was completed")


def test_it_stops_at_the_score_that_was_asked_for() -> None:
    steps, _, growth = play(group({"max_trials": 30, "exit_score": 0.9}), [0.7, 0.91, 0.5])
    assert [step.name for step in steps] == ["automl.0", "automl.1", "automl.vote"]
    asked = group({"max_trials": 30, "exit_score": 0.9, "max_concurrent_trials": 3})
    first = learning.grow(asked, [], TRAINER, 0).add
    now = [ended(first[0]), ended(first[1], Status.RUNNING), ended(first[2], Status.RUNNING)]
    growth = learning.grow(asked, now, {**TRAINER, "automl.0": {"values": [0.95], "final": True}}, 0)
    assert set(growth.stop) == {"automl.1", "automl.2"} and not growth.add


def test_it_gives_up_when_ten_trials_after_the_twentieth_are_no_better() -> None:
    values: list[float | None] = [0.5] * 19 + [0.9]
    assert not learning.is_stalled([*values, *[0.8] * 9], "maximize")
    assert learning.is_stalled([*values, *[0.8] * 10], "maximize")
    assert not learning.is_stalled([*values, *[0.8] * 9, 0.91], "maximize")
    assert learning.is_stalled([None] * 20 + [None] * 10, "minimize")
    steps, _, _ = play(group({"max_trials": 100}), [*values, *[0.8] * 10, 0.9])
    assert [step.name for step in steps][-2:] == ["automl.29", "automl.vote"]
    patient = group({"max_trials": 33, "enable_early_termination": False})
    assert len(play(patient, [*values, *[0.8] * 13, 0.9])[0]) == 34


def test_out_of_time_it_ends_with_the_best_it_has() -> None:
    asked = group({"max_trials": 9, "timeout_minutes": 1, "max_concurrent_trials": 2})
    first = learning.grow(asked, [], TRAINER, 0).add
    seen = {**TRAINER, "automl.0": {"values": [0.5], "final": True}}
    late = learning.grow(asked, [ended(first[0]), ended(first[1], Status.RUNNING)], seen, 61)
    assert late.stop == {"automl.1": "the job's time limit of 1 min is over"} and late.end is None
    over = learning.grow(asked, [ended(first[0]), ended(first[1], Status.CANCELLED)],
                         {**seen, "automl.1": {"values": [], "final": True}}, 62)  # fmt: skip
    assert (over.end, over.best) == (Status.COMPLETED, "automl.0")


def test_the_same_job_tries_the_same_things_and_every_algorithm_once_first() -> None:
    asked = group({"max_trials": 20, "enable_early_termination": False})
    values: list[float | None] = [round(0.5 + (n * 7 % 11) / 30, 3) for n in range(21)]
    first, second = (play(asked, values)[0] for _ in range(2))
    assert [step.task for step in first] == [step.task for step in second]
    names = [step.task.trial["algorithm"] for step in first[:-1]]
    count = len(asked.settings["algorithms"])
    assert sorted(names[:count]) == sorted(asked.settings["algorithms"])
    for step in first[count:-1]:
        tried = dict(step.task.trial)
        space = algorithms.SPACES[tried.pop("algorithm")]
        assert set(tried) == set(space)
        for name, value in tried.items():
            of = space[name]
            assert value in of if isinstance(of, list) else of[0] <= value <= of[1]


def test_algorithms_without_parameters_are_tried_once() -> None:
    assert algorithms.suggest(["Naive", "Average"], 1, [], "minimize", 1) == {"algorithm": "Average"}
    assert algorithms.suggest(["Naive", "Average"], 2, [], "minimize", 1) is None


def test_search_prefers_what_did_well() -> None:
    names = ["KNN", "DecisionTree", "LogisticRegression"]
    history: list[Any] = []
    chosen = []
    for index in range(30):
        tried = algorithms.suggest(names, index, history, "maximize", 5)
        assert tried
        value = {"KNN": 0.9, "DecisionTree": 0.5, "LogisticRegression": 0.4}[tried["algorithm"]]
        history.append((tried, value))
        chosen.append(tried["algorithm"])
    assert chosen[10:].count("KNN") > 10


def test_every_algorithm_that_is_served_can_be_tried_and_no_text_of_the_file_is_an_expression() -> None:
    for names in automl.ALGORITHMS.values():
        for name in set(names) - set(automl.UNAVAILABLE):
            assert algorithms.suggest([name], 0, [], "maximize", 1)
    task = learning.grow(group(target_column_name="${{secrets.x}}"), [], TRAINER, 0).add[0]
    assert "${{" not in task.environment_variables["DOUBLELOOP_AUTOML"]
    assert '"target": "\\u0024{{secrets.x}}"' in task.environment_variables["DOUBLELOOP_AUTOML"]


@pytest.mark.parametrize(("cores", "threads"), [(None, "1"), (4, "4"), (-1, None)])
def test_threads_of_a_trial(cores: int | None, threads: str | None) -> None:
    limits = {} if cores is None else {"max_cores_per_trial": cores}
    task = learning.grow(group(limits), [], TRAINER, 0).add[0]
    assert task.environment_variables.get("OMP_NUM_THREADS") == threads


def test_a_model_is_known_by_the_code_it_brings_along_and_by_nothing_less(tmp_path: Path) -> None:
    code = tmp_path / "code" / trainer.FOLDER
    code.mkdir(parents=True)
    assert queries.classes_of_trainer(tmp_path) == ()
    for each in trainer.files():
        if each.name != "parallel_tables.py":
            (code / each.name).write_bytes(each.read_bytes())
    assert "doubleloop_automl.columns.Columns" in queries.classes_of_trainer(tmp_path)
    (tmp_path / "code" / "more.py").write_text("")
    assert queries.classes_of_trainer(tmp_path) == ()
    (tmp_path / "code" / "more.py").unlink()
    (code / "columns.py").write_text("import os")
    assert queries.classes_of_trainer(tmp_path) == ()
