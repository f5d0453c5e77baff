"""Pipelines within pipelines, conditions, loops: steps that are added while the job runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.components import commands as components
from doubleloop.jobs import commands, queries
from doubleloop.jobs.model import Job, Status

INNER = """
    type: pipeline
    name: doubled
    inputs:
      number: {type: uri_file}
      factor: {type: integer, default: 2, min: 1, max: 100}
      label: {type: string, optional: true}
    outputs: {result: {type: uri_file}, words: {type: string}}
    jobs:
      multiply:
        component:
          name: multiply
          command: >-
            echo $(( $(cat ${{inputs.number}}) * ${{inputs.factor}} )) > ${{outputs.result}}
            $[[ && echo label ${{inputs.label}} ]]
          environment: azureml:base@latest
          inputs: {number: {type: uri_file}, factor: {type: integer}, label: {type: string, optional: true}}
          outputs: {result: {type: uri_file}}
        inputs:
          number: ${{parent.inputs.number}}
          factor: ${{parent.inputs.factor}}
          label: ${{parent.inputs.label}}
        outputs: {result: "${{parent.outputs.result}}"}
      say:
        command: echo "the result is $(cat ${{inputs.result}})" > ${{outputs.words}}
        environment: azureml:base@latest
        inputs: {result: "${{parent.jobs.multiply.outputs.result}}"}
        outputs: {words: "${{parent.outputs.words}}"}
"""
OUTER = """
    type: pipeline
    experiment_name: nesting
    inputs: {start: {type: integer, value: 3}, factor: 5}
    outputs: {final: {type: uri_file, name: final-number}}
    jobs:
      top:
        command: echo ${{inputs.start}} > ${{outputs.number}}
        environment: azureml:base@latest
        inputs: {start: "${{parent.inputs.start}}"}
        outputs: {number: {type: uri_file}}
      first:
        type: pipeline
        component: inner.yml
        inputs: {number: "${{parent.jobs.top.outputs.number}}", factor: "${{parent.inputs.factor}}", label: good}
      second:
        component: inner.yml
        inputs: {number: "${{parent.jobs.first.outputs.result}}"}
        outputs: {result: "${{parent.outputs.final}}"}
      read:
        command: test "${{inputs.words}}" = "the result is 15" && echo heard
        environment: azureml:base@latest
        inputs: {words: "${{parent.jobs.first.outputs.words}}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner.yml").write_text("\n".join(line[4:] for line in INNER.splitlines()))
    return tmp_path


def statuses(shop: Workshop, job: Job) -> dict[str, str]:
    return {name: step.status for name, step in shop.steps(job.id).items()}


def test_pipelines_within_a_pipeline_run_with_their_own_inputs_defaults_and_outputs(
    shop: Workshop, folder: Path
) -> None:
    job = shop.run(OUTER, folder=folder)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert shop.text(job.outputs["final"]) == "30\n"  # 3 * 5, then the inner default 2
    assert set(statuses(shop, job)) == {
        "top", "first", "second", "read", "first.multiply", "first.say", "second.multiply", "second.say",
    }  # fmt: skip
    assert "label good" in shop.log(job.id, "first.multiply")
    assert "label" not in shop.log(job.id, "second.multiply")


def test_an_inner_run_is_nested_in_its_pipelines_run(shop: Workshop, folder: Path) -> None:
    job = shop.run(OUTER, folder=folder)
    steps, runs = shop.steps(job.id), shop.tracking.runs
    assert runs[str(steps["first"].run_id)]["tags"]["mlflow.parentRunId"] == job.run_id
    assert runs[str(steps["first.say"].run_id)]["tags"]["mlflow.parentRunId"] == steps["first"].run_id
    assert {run["status"] for run in runs.values()} == {"FINISHED"}


def test_an_output_promoted_from_an_inner_pipeline_is_registered_once_and_traced(shop: Workshop, folder: Path) -> None:
    job = shop.run(OUTER, folder=folder)
    asset = job.outputs["final"]["asset"]
    assert asset.startswith("data:") and asset.endswith("final-number:1")
    with shop.house.read() as ctx:
        assert f"step:{job.id}/second" in {edge.source for edge in catalog.upstream(ctx, asset)}
        inside = {edge.source for edge in catalog.upstream(ctx, f"step:{job.id}/second")}
    assert f"step:{job.id}/second.multiply" in inside


def test_inner_steps_are_reused_and_a_changed_value_runs_only_what_it_touches(shop: Workshop, folder: Path) -> None:
    first = shop.run(OUTER, folder=folder)
    again = shop.run(OUTER, folder=folder)
    commands_ = [name for name, step in shop.steps(again.id).items() if not step.task.kind.is_group]
    assert all(shop.steps(again.id)[name].reused_from == f"{first.id}/{name}" for name in commands_)
    changed = shop.run(OUTER.replace("label: good", "label: better"), folder=folder)
    ran = {name for name in commands_ if not shop.steps(changed.id)[name].reused_from}
    assert ran == {"first.multiply"}  # what it wrote is the same, so nothing behind it runs


def test_a_failed_inner_step_fails_its_pipeline_and_retry_goes_on_from_there(shop: Workshop, folder: Path) -> None:
    gate = folder / "gate"
    inner = (folder / "inner.yml").read_text().replace("echo $((", f"test -e {gate} && echo $((")
    (folder / "inner.yml").write_text(inner)
    job = shop.run(OUTER, folder=folder)
    assert job.status is Status.FAILED
    assert "Step first: Step first.multiply: The command failed" in job.error
    assert statuses(shop, job)["first.say"] == statuses(shop, job)["second"] == "skipped"
    gate.touch()
    with shop.house.write() as ctx:
        commands.retry(ctx, job.id)
    shop.engine.run()
    assert shop.job(job.id).status is Status.COMPLETED
    assert shop.steps(job.id)["top"].attempt == 1
    assert shop.steps(job.id)["first.multiply"].attempt == 2


def test_a_step_inside_is_found_with_its_log_and_its_edges(shop: Workshop, folder: Path) -> None:
    job = shop.run(OUTER, folder=folder)
    with shop.house.read() as ctx:
        edges = {(edge.source, edge.target) for edge in queries.graph(ctx, job.id).edges}
    assert {("top", "first"), ("top", "first.multiply"), ("first.multiply", "first.say"), ("first", "read")} <= edges


def test_registered_components_are_pipelines_and_trials_too(shop: Workshop, folder: Path) -> None:
    trial = """
    name: tried
    version: 1
    type: command
    command: echo ${{inputs.x}} > ${{outputs.o}}; exit 3
    environment: azureml:base@latest
    inputs: {x: {type: integer}}
    outputs: {o: {type: uri_file}}
    """
    for text in (INNER, trial):
        with shop.house.write() as ctx:
            components.create(ctx, shop.document(text, folder))
    job = shop.run("""
    type: pipeline
    settings: {continue_on_step_failure: true}
    jobs:
      top: {command: "echo 4 > ${{outputs.n}}", environment: "azureml:base@latest", outputs: {n: {type: uri_file}}}
      untyped: {component: "azureml:doubled:1", inputs: {number: "${{parent.jobs.top.outputs.n}}"}}
      typed:
        type: pipeline
        component: azureml:doubled@latest
        inputs: {number: "${{parent.jobs.untyped.outputs.result}}"}
      tune:
        type: sweep
        trial: azureml:tried@latest
        search_space: {x: {type: choice, values: [1]}}
        objective: {goal: minimize, primary_metric: loss}
        limits: {max_total_trials: 1}
    """)
    steps = shop.steps(job.id)
    assert shop.text(steps["typed"].outputs["result"]) == "16\n", job.error
    assert steps["tune.0"].exit_code == 3 and "no trial was completed" in str(steps["tune"].reason)


CHOICE = """
    type: pipeline
    inputs: {which: {type: boolean, value: WHICH}}
    jobs:
      look:
        command: echo ${{inputs.which}} > ${{outputs.yes}}
        environment: azureml:base@latest
        inputs: {which: "${{parent.inputs.which}}"}
        outputs: {yes: {type: boolean, is_control: true}}
      decide:
        type: if_else
        condition: CONDITION
        true_block: ${{parent.jobs.good}}
        false_block: ["${{parent.jobs.bad}}", "${{parent.jobs.worse}}"]
      good: {command: "echo good > ${{outputs.o}}/f", environment: "azureml:base@latest", outputs: {o: }}
      bad: {command: "echo bad > ${{outputs.o}}/f", environment: "azureml:base@latest", outputs: {o: }}
      worse: {command: echo worse, environment: "azureml:base@latest"}
      after:
        command: ls ${{inputs.o}}
        environment: azureml:base@latest
        inputs: {o: "${{parent.jobs.bad.outputs.o}}"}
      always: {command: echo always, environment: "azureml:base@latest"}
"""
OF_STEP, OF_INPUT = "${{parent.jobs.look.outputs.yes}}", "${{parent.inputs.which}}"


@pytest.mark.parametrize("condition", [OF_STEP, OF_INPUT, "${{parent.jobs.look}}"])
@pytest.mark.parametrize("which", ["true", "false"])
def test_one_block_runs_and_the_other_is_passed_by_without_failing_the_job(
    shop: Workshop, condition: str, which: str
) -> None:
    text = CHOICE.replace("WHICH", which).replace("CONDITION", condition)
    job = shop.run(text)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    taken = {name for name, status in statuses(shop, job).items() if status == "completed"}
    passed = {name for name, status in statuses(shop, job).items() if status == "skipped"}
    if which == "true":
        assert (taken, passed) == ({"look", "good", "always"}, {"bad", "worse", "after"})
        assert shop.steps(job.id)["bad"].reason == "skipped, because its condition does not hold"
        assert shop.steps(job.id)["after"].reason == "skipped, because step bad did not run"
    else:
        assert (taken, passed) == ({"look", "bad", "worse", "after", "always"}, {"good"})


def test_a_step_before_a_condition_that_fails_fails_the_job(shop: Workshop) -> None:
    text = CHOICE.replace("WHICH", "maybe").replace("type: boolean, value", "type: string, value")
    job = shop.run(text.replace("CONDITION", OF_STEP))
    assert job.status is Status.FAILED
    assert "Output 'yes' (boolean): 'maybe' is not a value of type boolean" in job.error


COUNT = """
    type: pipeline
    outputs: {total: {type: uri_file, name: counted}}
    jobs:
      seed:
        command: echo 1 > ${{outputs.n}}
        environment: azureml:base@latest
        outputs: {n: {type: uri_file}}
      body:
        command: >-
          n=$(( $(cat ${{inputs.n}}) * 2 )); echo round ${{inputs.round}};
          echo $n > ${{outputs.n}}; echo $(( ${{inputs.round}} + 1 )) > ${{outputs.next}};
          if [ $n -lt STOP ]; then echo true; else echo false; fi > ${{outputs.again}}
        environment: azureml:base@latest
        inputs: {n: "${{parent.jobs.seed.outputs.n}}", round: 1}
        outputs:
          n: {path: "${{parent.outputs.total}}", type: uri_file}
          next: {type: integer, is_control: true}
          again: {type: boolean, is_control: true}
      loop:
        type: do_while
        body: ${{parent.jobs.body}}
        condition: ${{parent.jobs.body.outputs.again}}
        mapping: {n: n, next: "${{parent.jobs.body.inputs.round}}"}
        limits: {max_iteration_count: 6}
      show:
        command: cat ${{inputs.n}}
        environment: azureml:base@latest
        inputs: {n: "${{parent.jobs.body.outputs.n}}"}
"""


def test_a_loop_runs_while_its_condition_holds_and_gives_the_last_rounds_outputs(shop: Workshop) -> None:
    job = shop.run(COUNT.replace("STOP", "8"))
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert set(statuses(shop, job)) == {"seed", "loop", "show", "loop.1", "loop.2", "loop.3"}
    assert shop.text(job.outputs["total"]) == "8\n"
    assert "round 3" in shop.log(job.id, "loop.3")
    assert "8" in shop.log(job.id, "show").splitlines()
    with shop.house.read() as ctx:
        steps = [each for each in queries.steps(ctx, job.id) if each.outputs.get("n", {}).get("asset")]
    assert [step.name for step in steps] == ["loop"]  # not once per round


def test_a_loop_ends_at_its_limit(shop: Workshop) -> None:
    job = shop.run(COUNT.replace("STOP", "1000").replace("max_iteration_count: 6", "max_iterations: 2"))
    assert job.status is Status.COMPLETED
    assert shop.text(job.outputs["total"]) == "4\n"


def test_a_pipeline_is_repeated_too(shop: Workshop, folder: Path) -> None:
    job = shop.run(
        """
        type: pipeline
        jobs:
          top: {command: "echo 1 > ${{outputs.n}}", environment: "azureml:base@latest", outputs: {n: {type: uri_file}}}
          body:
            type: pipeline
            component: inner.yml
            inputs: {number: "${{parent.jobs.top.outputs.n}}"}
          loop:
            type: do_while
            body: ${{parent.jobs.body}}
            mapping: {result: number}
            limits: {max_iteration_count: 3}
        """,
        folder=folder,
    )
    assert (job.status, job.error) == (Status.COMPLETED, "")
    steps = shop.steps(job.id)
    assert shop.text(steps["loop"].outputs["result"]) == "8\n"
    assert steps["loop.3.say"].status is Status.COMPLETED


def test_a_step_runs_once_for_each_item(shop: Workshop) -> None:
    job = shop.run("""
    type: pipeline
    inputs: {end: {type: string, value: "!"}}
    jobs:
      body:
        command: echo ${{inputs.word}}${{inputs.end}} > ${{outputs.said}}
        environment: azureml:base@latest
        inputs: {end: "${{parent.inputs.end}}"}
        outputs: {said: {type: string}}
      each:
        type: parallel_for
        body: ${{parent.jobs.body}}
        items: '[{"word": "a"}, {"word": "b"}, {"word": "c", "end": "?"}]'
        max_concurrency: 2
    """)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    said = {name: step.outputs["said"]["value"] for name, step in shop.steps(job.id).items() if "." in name}
    assert said == {"each.0": "a!", "each.1": "b!", "each.2": "c?"}


ENDS = """
    type: pipeline
    settings: {on_init: prepare, on_finalize: tidy}
    jobs:
      work: {command: "echo w >> LOG; exit CODE", environment: "azureml:base@latest"}
      tidy: {command: "echo t >> LOG", environment: "azureml:base@latest"}
      prepare: {command: "echo p >> LOG", environment: "azureml:base@latest"}
"""


@pytest.mark.parametrize(("code", "status"), [("0", Status.COMPLETED), ("3", Status.FAILED)])
def test_a_first_step_and_a_last_one_that_runs_however_the_others_ended(
    shop: Workshop, tmp_path: Path, code: str, status: Status
) -> None:
    job = shop.run(ENDS.replace("LOG", str(tmp_path / "log")).replace("CODE", code))
    assert job.status is status
    assert (tmp_path / "log").read_text().split() == ["p", "w", "t"]


def cancelled(shop: Workshop, job: Job, waits_for: Path) -> Job:
    """Run the job, and cancel it once a file is there."""
    import threading
    import time

    def cancel() -> None:
        while not waits_for.exists():
            time.sleep(0.02)
        with shop.house.write() as ctx:
            commands.cancel(ctx, job.id)

    thread = threading.Thread(target=cancel)
    thread.start()
    shop.engine.run()
    thread.join()
    return shop.job(job.id)


def test_a_cancel_reaches_the_steps_inside_and_is_no_failure(shop: Workshop, folder: Path, tmp_path: Path) -> None:
    inner = (folder / "inner.yml").read_text().replace("echo $((", f"touch {tmp_path}/up; sleep 100; echo $((")
    (folder / "inner.yml").write_text(inner)
    job = cancelled(shop, shop.submit(OUTER, folder=folder), tmp_path / "up")
    assert job.status is Status.CANCELLED
    found = statuses(shop, job)
    assert found["first"] == found["first.multiply"] == found["first.say"] == found["second"] == "cancelled"
    assert {step.task.kind.value for step in shop.steps(job.id).values()} == {"command", "pipeline"}


def first_error(shop: Workshop, text: str, folder: Path) -> errors.DoubleloopError:
    with pytest.raises(errors.DoubleloopError) as caught:
        shop.submit(text, folder=folder)
    return caught.value


def test_what_an_inner_pipeline_lacks_is_told_with_its_own_file_and_line(shop: Workshop, folder: Path) -> None:
    inner = (folder / "inner.yml").read_text()
    (folder / "inner.yml").write_text(
        inner.replace("parent.jobs.multiply.outputs.result", "parent.jobs.mult.outputs.r")
    )
    error = first_error(shop, OUTER, folder)
    assert "the step 'mult' does not exist" in error.what and "did you mean 'multiply'?" in error.cure
    assert error.where and error.where.file.endswith("inner.yml") and error.where.line == 27
    (folder / "inner.yml").write_text(inner)
    missing = first_error(shop, OUTER.replace('number: "${{parent.jobs.first.outputs.result}}"', ""), folder)
    assert "the step 'second' gets no value for its input 'number'" in missing.what
    wide = first_error(shop, OUTER.replace("factor: 5}", "factor: 500}"), folder)
    assert "'factor' must be at most 100, not 500" in wide.what
