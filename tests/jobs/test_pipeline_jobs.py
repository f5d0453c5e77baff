"""Pipelines: order, parallel branches, what flows between steps, failure, reuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.jobs import commands, queries
from doubleloop.jobs.model import Status
from doubleloop.storage import ports as storage

DIAMOND = """
    type: pipeline
    display_name: diamond
    experiment_name: shapes
    inputs: {start: {type: integer, value: 3}, fail: {type: string, value: "no"}}
    outputs: {total: {type: uri_file}}
    settings: {continue_on_step_failure: GO_ON}
    jobs:
      top:
        command: echo ${{inputs.start}} > ${{outputs.number}}; echo made a number
        environment: azureml:base@latest
        inputs: {start: "${{parent.inputs.start}}"}
        outputs: {number: {type: uri_file}}
      left:
        command: echo $(( $(cat ${{inputs.number}}) * 10 )) > ${{outputs.number}}
        environment: azureml:base@latest
        inputs: {number: "${{parent.jobs.top.outputs.number}}"}
        outputs: {number: {type: uri_file}}
      right:
        command: >-
          if [ ${{inputs.fail}} = yes ]; then exit 7; fi;
          echo $(( $(cat ${{inputs.number}}) + 1 )) > ${{outputs.number}}
        environment: azureml:base@latest
        inputs: {number: "${{parent.jobs.top.outputs.number}}", fail: "${{parent.inputs.fail}}"}
        outputs: {number: {type: uri_file}}
      alone:
        command: cat ${{inputs.number}}
        environment: azureml:base@latest
        inputs: {number: "${{parent.jobs.left.outputs.number}}"}
      bottom:
        command: echo $(( $(cat ${{inputs.left}}) + $(cat ${{inputs.right}}) )) > ${{outputs.total}}
        environment: azureml:base@latest
        inputs: {left: "${{parent.jobs.left.outputs.number}}", right: "${{parent.jobs.right.outputs.number}}"}
        outputs: {total: "${{parent.outputs.total}}"}
"""
STOP, GO_ON = DIAMOND.replace("GO_ON", "false"), DIAMOND.replace("GO_ON", "true")


def test_a_diamond_runs_in_order_and_its_output_is_the_jobs(shop: Workshop) -> None:
    job = shop.run(STOP)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert shop.text(job.outputs["total"]) == "34\n"
    steps = shop.steps(job.id)
    assert {step.status for step in steps.values()} == {Status.COMPLETED}
    ends = {name: step.ended_at for name, step in steps.items()}
    starts = {name: step.started_at for name, step in steps.items()}
    assert starts["left"] >= ends["top"] and starts["right"] >= ends["top"]  # type: ignore[operator]
    assert starts["bottom"] >= max(ends["left"], ends["right"])  # type: ignore[type-var, operator]


def test_each_step_has_a_run_nested_in_the_jobs(shop: Workshop) -> None:
    job = shop.run(STOP)
    runs = shop.tracking.runs
    assert runs[str(job.run_id)]["status"] == "FINISHED"
    for step in shop.steps(job.id).values():
        run = runs[str(step.run_id)]
        assert run["tags"]["mlflow.parentRunId"] == job.run_id
        assert (run["tags"]["doubleloop.step"], run["experiment"], run["status"]) == (step.name, "shapes", "FINISHED")
    assert len(runs) == 6


def test_a_failed_step_fails_the_job_and_skips_the_rest(shop: Workshop) -> None:
    job = shop.run(STOP, inputs={"fail": "yes"})
    steps = shop.steps(job.id)
    assert job.status is Status.FAILED
    assert "Step right: The command failed: exited with code 7" in job.error
    assert steps["right"].exit_code == 7
    assert steps["bottom"].status is Status.SKIPPED
    assert steps["bottom"].reason == "skipped, because step right failed"
    assert steps["left"].status is Status.COMPLETED  # it ran when right failed, and was left to finish


def test_independent_branches_go_on_after_a_failure_when_asked(shop: Workshop) -> None:
    job = shop.run(GO_ON, inputs={"fail": "yes"})
    steps = shop.steps(job.id)
    assert job.status is Status.FAILED
    assert {name: step.status for name, step in steps.items()} == {
        "top": Status.COMPLETED, "left": Status.COMPLETED, "right": Status.FAILED, "alone": Status.COMPLETED,
        "bottom": Status.SKIPPED,
    }  # fmt: skip


def test_steps_that_do_not_need_each_other_run_at_the_same_time(shop: Workshop) -> None:
    """Each side waits until it has seen the other: only together can they end."""
    meet = shop.house.home.parent
    side = """
      %s:
        command: touch %s/%s; for i in $(seq 600); do [ -e %s/%s ] && exit 0; sleep 0.1; done; exit 1
        environment: azureml:base@latest
    """
    job = shop.run(f"""
    type: pipeline
    jobs:{side % ("left", meet, "l", meet, "r")}{side % ("right", meet, "r", meet, "l")}
    """)
    assert job.status is Status.COMPLETED, job.error


def test_unchanged_steps_are_reused_and_changed_ones_run(shop: Workshop) -> None:
    first = shop.run(STOP)
    again = shop.run(STOP)
    steps = shop.steps(again.id)
    assert again.status is Status.COMPLETED
    assert {step.reused_from for step in steps.values()} == {f"{first.id}/{name}" for name in steps}
    assert again.outputs["total"]["reference"] == first.outputs["total"]["reference"]
    assert steps["top"].run_id == shop.steps(first.id)["top"].run_id
    assert "its outputs are reused" in shop.log(again.id, "top")
    changed = shop.run(STOP.replace("* 10", "* 100"))
    reused = {name: step.reused_from for name, step in shop.steps(changed.id).items()}
    assert reused["top"] and reused["right"] and not reused["left"] and not reused["bottom"]
    assert shop.text(changed.outputs["total"]) == "304\n"


def test_a_reused_step_names_the_run_that_did_the_work(shop: Workshop) -> None:
    first, _, third = shop.run(STOP), shop.run(STOP), shop.run(STOP)
    assert shop.steps(third.id)["top"].reused_from == f"{first.id}/top"


def test_force_rerun_runs_everything(shop: Workshop) -> None:
    shop.run(STOP)
    again = shop.run(STOP, force_rerun=True)
    assert {step.reused_from for step in shop.steps(again.id).values()} == {None}


def test_another_environment_is_another_step(shop: Workshop) -> None:
    shop.run(STOP)
    shop.environments.locks["azureml:base@latest"] = "f" * 64
    again = shop.run(STOP)
    assert {step.reused_from for step in shop.steps(again.id).values()} == {None}


def test_a_step_whose_component_is_not_deterministic_always_runs(shop: Workshop) -> None:
    text = """
    type: pipeline
    jobs:
      draw:
        component:
          $schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
          name: draw
          type: command
          is_deterministic: false
          command: echo $RANDOM > ${{outputs.card}}
          environment: azureml:base@latest
          outputs: {card: {type: uri_file}}
    """
    shop.run(text)
    assert shop.steps(shop.run(text).id)["draw"].reused_from is None


def test_a_command_job_runs_each_time_unless_asked(shop: Workshop) -> None:
    text = "{type: command, command: echo hi, environment: azureml:base@latest}"
    first = shop.run(text)
    assert shop.steps(shop.run(text).id)["command"].reused_from is None
    assert shop.steps(shop.run(text, force_rerun=False).id)["command"].reused_from is not None
    assert first.run_id


def test_all_steps_mean_the_same_version_by_a_label(shop: Workshop, tmp_path: Path) -> None:
    """The label moves while the job runs: the second step still reads what the first one read."""
    blobs = shop.house.ports[storage.Blobs]
    marker = tmp_path / "moved"

    def add(text: str) -> str:
        with shop.house.write() as ctx:
            return data.add_version(ctx, "rides", data.store_bytes(blobs, "rides.csv", text.encode()), "uri_file").id

    first = add("one\n")
    job = shop.submit(f"""
    type: pipeline
    inputs: {{rides: {{type: uri_file, path: azureml:rides@latest}}}}
    jobs:
      one:
        command: cat ${{{{inputs.rides}}}} > ${{{{outputs.seen}}}}; touch {marker}
        environment: azureml:base@latest
        inputs: {{rides: "${{{{parent.inputs.rides}}}}"}}
        outputs: {{seen: {{type: uri_file}}}}
      two:
        command: cat ${{{{inputs.rides}}}} ${{{{inputs.seen}}}}
        environment: azureml:base@latest
        inputs: {{rides: "${{{{parent.inputs.rides}}}}", seen: "${{{{parent.jobs.one.outputs.seen}}}}"}}
    """)
    original = shop.environments.prepare

    def prepare(*arguments, **options):  # type: ignore[no-untyped-def]
        if marker.exists():
            marker.unlink()
            add("two\n")
        return original(*arguments, **options)

    shop.environments.prepare = prepare  # type: ignore[method-assign]
    shop.engine.run()
    steps = shop.steps(job.id)
    assert steps["one"].inputs["rides"]["asset"] == steps["two"].inputs["rides"]["asset"] == first
    assert shop.log(job.id, "two").endswith("one\none\n")


def test_lineage_leads_from_data_through_steps_to_registered_outputs(shop: Workshop) -> None:
    blobs = shop.house.ports[storage.Blobs]
    with shop.house.write() as ctx:
        source = data.add_version(ctx, "rides", data.store_bytes(blobs, "r.csv", b"1\n"), "uri_file").id
    job = shop.run("""
    type: pipeline
    inputs: {rides: {type: uri_file, path: "azureml:rides:1"}}
    outputs: {clean: {type: uri_file, name: clean-rides}}
    jobs:
      one:
        command: cp ${{inputs.rides}} ${{outputs.copy}}
        environment: azureml:base@latest
        inputs: {rides: "${{parent.inputs.rides}}"}
        outputs: {copy: {type: uri_file}}
      two:
        command: cp ${{inputs.copy}} ${{outputs.clean}}
        environment: azureml:base@latest
        inputs: {copy: "${{parent.jobs.one.outputs.copy}}"}
        outputs: {clean: "${{parent.outputs.clean}}"}
    """)
    assert job.status is Status.COMPLETED, job.error
    assert job.outputs["clean"]["asset"] == "data:dev/clean-rides:1"
    with shop.house.read() as ctx:
        sources = {edge.source for edge in catalog.ancestry(ctx, "data:dev/clean-rides:1")}
    assert {source, f"step:{job.id}/one", f"step:{job.id}/two", f"environment:{'e' * 64}"} <= sources


def test_a_model_output_is_registered_under_the_steps_run(shop: Workshop) -> None:
    job = shop.run("""
    type: command
    command: echo weights > ${{outputs.model}}/model.bin
    environment: azureml:base@latest
    outputs: {model: {type: custom_model, name: bikes}}
    """)
    assert job.status is Status.COMPLETED, job.error
    registered = shop.tracking.registered_version("bikes", "1")
    assert registered and registered.run_id == job.run_id
    assert [fact.data["job"] for fact in shop.facts("model.registered")] == [job.id]


def test_an_output_with_a_datastore_path_can_be_read_there_by_a_later_step(shop: Workshop) -> None:
    job = shop.run(
        """
    type: pipeline
    jobs:
      write:
        command: echo hello > ${{outputs.file}}; echo x > ${{outputs.order}}/x
        environment: azureml:base@latest
        outputs:
          file: {type: uri_file, path: "azureml://datastores/${{default_datastore}}/paths/${{name}}/hello.txt"}
          order: {type: uri_folder}
      read:
        command: cat ${{inputs.file}}
        environment: azureml:base@latest
        inputs:
          file: {type: uri_file, path: azureml://datastores/workspaceblobstore/paths/HERE/hello.txt}
          order: ${{parent.jobs.write.outputs.order}}
    """.replace("HERE", "my-job"),
        id="my-job",
    )
    assert job.status is Status.COMPLETED, job.error
    assert shop.log(job.id, "read").endswith("hello\n")


def test_a_jobs_output_is_the_input_of_another_job(shop: Workshop) -> None:
    shop.run(STOP, id="first")
    job = shop.run("""
    type: command
    command: cat ${{inputs.total}}
    environment: azureml:base@latest
    inputs: {total: {type: uri_file, path: azureml://jobs/first/outputs/total}}
    """)
    assert shop.log(job.id).endswith("34\n")
    missing = shop.run("""
    type: command
    command: cat ${{inputs.total}}
    environment: azureml:base@latest
    inputs: {total: {type: uri_file, path: azureml://jobs/first/outputs/sum}}
    """)
    assert "no output named 'sum'" in missing.error and "It has: total" in missing.error


def test_an_optional_input_that_is_not_given_takes_its_option_with_it(shop: Workshop) -> None:
    job = shop.run("""
    type: pipeline
    jobs:
      say:
        component:
          type: command
          name: say
          inputs: {word: {type: string, optional: true}, flag: {type: boolean, default: true}}
          command: echo said $[[--word ${{inputs.word}}]] ${{inputs.flag}} end
          environment: azureml:base@latest
    """)
    assert "said True end" in " ".join(shop.log(job.id, "say").split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{type: command, command: 'echo ${{inputs.x}}', environment: e}", "input 'x' does not exist"),
        ("{type: command, command: echo, environment: e, inputs: {x: {type: uri_file}}}", "'x' has no value"),
        (
            """
            type: pipeline
            jobs:
              a: {command: "true", environment: e, inputs: {x: "${{parent.jobs.b.outputs.y}}"}, outputs: {y: {}}}
              b: {command: "true", environment: e, inputs: {x: "${{parent.jobs.a.outputs.y}}"}, outputs: {y: {}}}
            """,
            "wait for each other",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_submit(shop: Workshop, text: str, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words):
        shop.submit(text)
    with shop.house.read() as ctx:
        assert queries.list(ctx).items == []


def test_a_missing_asset_is_told_at_submit_with_its_line_and_what_is_near(shop: Workshop) -> None:
    blobs = shop.house.ports[storage.Blobs]
    with shop.house.write() as ctx:
        data.add_version(ctx, "rides", data.store_bytes(blobs, "r.csv", b"1\n"), "uri_file")
    with pytest.raises(errors.NotFound) as refused:
        shop.submit("""
        type: command
        command: cat ${{inputs.x}}
        environment: azureml:base@latest
        inputs: {x: {type: uri_file, path: "azureml:ride:1"}}
        """)
    assert "no data" in refused.value.what and refused.value.cure == "Did you mean rides?"
    where = refused.value.where
    assert where is not None and (where.line, where.path) == (5, "inputs.x.path")
    assert shop.facts("job.submitted") == []


def test_submitting_twice_with_one_id_is_one_job(shop: Workshop) -> None:
    text = "{type: command, command: echo hi, environment: azureml:base@latest}"
    first, second = shop.submit(text, id="once"), shop.submit(text, id="once")
    assert first == second
    shop.engine.run()
    assert len([step for step in shop.facts("step.started")]) == 1


def test_a_name_in_the_file_can_be_used_once(shop: Workshop) -> None:
    text = "{type: command, name: mine, command: echo hi, environment: azureml:base@latest}"
    shop.submit(text)
    with pytest.raises(errors.Conflict, match="mine exists already"):
        shop.submit(text)


def test_who_may_not_submit_is_refused(shop: Workshop) -> None:
    text = "{type: command, command: echo hi, environment: azureml:base@latest}"
    with pytest.raises(errors.NotPermitted):
        shop.submit(text, user="eve")
    job = shop.submit(text)
    with shop.house.write("eve") as ctx, pytest.raises(errors.NotPermitted):
        commands.cancel(ctx, job.id)


def test_an_unknown_input_is_refused_with_the_nearest_name(shop: Workshop) -> None:
    with pytest.raises(errors.InvalidInput, match="no input 'strat'") as caught:
        shop.submit(STOP, inputs={"strat": 4})
    assert "start" in caught.value.cure


def test_a_declared_output_named_artifacts_is_what_the_command_leaves_in_outputs_and_logs(shop: Workshop) -> None:
    job = shop.run("""
    type: pipeline
    jobs:
      hello:
        command: echo world > ./outputs/world.txt
        environment: azureml:base@latest
        outputs: {artifacts: }
      world:
        command: cat ${{inputs.left}}/outputs/world.txt
        environment: azureml:base@latest
        inputs: {left: "${{parent.jobs.hello.outputs.artifacts}}"}
      own:
        command: echo mine > ${{outputs.artifacts}}/mine.txt; echo other > ./outputs/other.txt
        environment: azureml:base@latest
        outputs: {artifacts: }
    """)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert "world" in shop.log(job.id, "world").splitlines()
    assert shop.text(shop.steps(job.id)["own"].outputs["artifacts"], "mine.txt") == "mine\n"
