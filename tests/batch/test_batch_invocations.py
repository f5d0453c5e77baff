"""From an endpoint's file to what an invocation left, carried out by the real runner."""

from __future__ import annotations

import pytest
from batch_bench import ENVIRONMENT, Bench

from doubleloop.base import errors
from doubleloop.batch import commands, queries
from doubleloop.catalog import queries as catalog
from doubleloop.identity import assignments
from doubleloop.jobs.model import Status
from doubleloop.releases import trace


def test_a_folder_is_scored_and_what_is_left_is_a_data_version_with_its_ancestors(bench: Bench) -> None:
    bench.write(data__a_dot_txt="1", data__b_dot_txt="2", data__deep__c_dot_txt="3")
    made = bench.scripted()
    job = bench.run("inputs: {data: {type: uri_folder, path: data}}")
    assert job.status is Status.COMPLETED, bench.shop.log(job.id)
    assert bench.rows(job) == ["a.txt 1", "b.txt 2", "c.txt 3"]
    assert job.purpose["deployment"] == "blue"
    with bench.house.read() as ctx:
        version = catalog.resolve(ctx, "data", "scoring-score")
        assert version.id == job.outputs["score"]["asset"]
        assert [each.id for each in queries.jobs_of(ctx, "scoring", "blue")] == [job.id]
    facts = {each.type for each in bench.shop.facts()}
    assert {"batch_endpoint.created", "batch_deployment.created", "batch_endpoint.invoked"} <= facts
    assert made.kind.value == "model"


def test_an_invocation_may_replace_the_settings_and_name_another_deployment(bench: Bench) -> None:
    bench.write(data__a_dot_txt="1", data__b_dot_txt="2")
    bench.scripted(more="settings: {mini_batch_size: 5, output_file_name: x.csv}")
    bench.write(code__score_dot_py="def init(): pass\ndef run(m): return [len(m)]")
    bench.deploy(
        f"name: green\nendpoint_name: scoring\nmodel: {{path: model.txt}}\nenvironment: {ENVIRONMENT}\n"
        "code_configuration: {code: code, scoring_script: score.py}"
    )
    first = bench.run("{inputs: {data: {path: data}}, mini_batch_size: 1}")
    other = bench.run("{inputs: {data: {path: data}}, deployment_name: green, output_file_name: y.csv}")
    assert (bench.rows(first, "x.csv"), bench.rows(other, "y.csv")) == (["a.txt 1", "b.txt 2"], ["2"])


def test_a_file_or_an_asset_is_scored_too_and_the_output_is_copied_where_asked(bench: Bench) -> None:
    bench.write(one_dot_txt="7")
    bench.scripted()
    job = bench.run(
        "inputs: {data: {type: uri_file, path: one.txt}}\n"
        "outputs: {score: {type: uri_folder, path: azureml://datastores/workspaceblobstore/paths/out}}",
        user="grace",
    )
    assert bench.rows(job) == ["one.txt 7"]
    copied = bench.house.home / "datastores" / "dev" / "workspaceblobstore" / "out" / "predictions.csv"
    assert copied.read_text() == "one.txt 7\n"
    again = bench.run("inputs: {data: {type: uri_folder, path: 'azureml:scoring-score@latest'}}")
    assert again.status is Status.COMPLETED, bench.shop.log(again.id)
    assert bench.rows(again)[0].startswith("predictions.csv one.txt 7")
    told = trace.explain(bench.house.contexts, bench.house.actor("grace"), again.outputs["score"]["asset"])
    assert (told["job"]["id"], told["job"]["purpose"]["deployment"]) == (again.id, "blue")
    assert [each["id"] for each in told["data"]] == ["data:dev/scoring-score:2", "data:dev/scoring-score:1"]


PIPELINE = """
name: train
endpoint_name: scoring
type: pipeline
component:
  type: pipeline
  inputs: {data: {type: uri_folder}, word: {type: string, default: plain}}
  outputs: {said: {type: uri_file}}
  jobs:
    say:
      type: command
      command: cat ${{inputs.data}}/a.txt > ${{outputs.out}}; echo ${{inputs.word}} >> ${{outputs.out}}
      environment: azureml:base@latest
      inputs: {data: "${{parent.inputs.data}}", word: "${{parent.inputs.word}}"}
      outputs: {out: "${{parent.outputs.said}}"}
"""


def test_a_pipeline_answers_with_its_own_inputs_defaults_and_outputs(bench: Bench) -> None:
    bench.write(data__a_dot_txt="1\n")
    bench.endpoint()
    assert bench.deploy(PIPELINE).kind.value == "pipeline"
    plain = bench.run("inputs: {job_data_path: {type: uri_folder, path: data}}")
    loud = bench.run("inputs: {data: {type: uri_folder, path: data}, word: {type: string, default: loud}}")
    assert plain.status is Status.COMPLETED, plain.error
    assert [bench.shop.text(job.outputs["said"]) for job in (plain, loud)] == ["1\nplain\n", "1\nloud\n"]
    # What ran before, as it was submitted then, is a deployment too.
    bench.deploy(f"{{name: again, endpoint_name: scoring, job_definition: 'azureml:{plain.id}'}}")
    again = bench.run("{deployment_name: again, inputs: {data: {path: data}}}")
    assert (again.status, bench.shop.text(again.outputs["said"])) == (Status.COMPLETED, "1\nplain\n")
    for text, words in [
        ("inputs: {other: 1, data: {path: data}}", "The pipeline has no input 'other'"),
        ("inputs: {word: hello}", "The pipeline's input 'data' is missing"),
        ("inputs: {data: 5}", "input 'data' is uri_folder, and 5 is no data"),
        ("inputs: {data: {path: data}, word: {path: data}}", "input 'word' is of type string, and data was given"),
        ("{inputs: {data: {path: data}}, outputs: {other: {type: uri_folder}}}", "The pipeline has no output 'other'"),
    ]:
        with pytest.raises(errors.InvalidInput, match=words):
            bench.invoke(text)


def test_the_same_id_again_is_the_same_job(bench: Bench) -> None:
    bench.write(data__a_dot_txt="1")
    bench.scripted()
    text = "inputs: {data: {path: data}}"
    assert bench.invoke(text, id="mine").id == bench.invoke(text, id="mine").id == "mine"
    with bench.house.read() as ctx:
        assert len(queries.jobs_of(ctx, "scoring")) == 1


def test_who_may_only_invoke_one_endpoint_invokes_it_and_follows_the_job(bench: Bench) -> None:
    bench.write(data__a_dot_txt="1")
    bench.scripted()
    bench.endpoint("{name: other}")
    with bench.house.write("service:setup") as ctx:
        assignments.put(ctx, "user:eve", "EU", workspace="dev", resource="endpoint/scoring")
    job = bench.invoke("inputs: {data: {path: data}}", user="eve")
    bench.shop.engine.run()
    with bench.house.read("eve") as ctx:
        found = queries.job_of(ctx, "scoring", job.id)
        assert found.status is Status.COMPLETED, found.error
        with pytest.raises(errors.NotPermitted):
            queries.job_of(ctx, "other", job.id)
    with bench.house.write("eve") as ctx, pytest.raises(errors.NotPermitted):
        commands.invoke(ctx, "other", bench.file("batch_invocation", "inputs: {data: {path: data}}"))
    with bench.house.write("eve") as ctx, pytest.raises(errors.NotPermitted):
        commands.delete_endpoint(ctx, "scoring")


def test_the_default_is_kept_until_another_is_chosen(bench: Bench) -> None:
    bench.scripted()
    bench.scripted(more="description: changed")  # the same name again replaces it
    bench.deploy(PIPELINE)
    with bench.house.write("grace") as ctx, pytest.raises(errors.Conflict, match="default"):
        commands.delete_deployment(ctx, "scoring", "blue")
    bench.endpoint("{name: scoring, defaults: {deployment_name: train}}")
    with bench.house.write("grace") as ctx:
        commands.delete_deployment(ctx, "scoring", "blue")
        assert [each.name for each in queries.deployments(ctx, "scoring")] == ["train"]
    with pytest.raises(errors.NotSupported, match="A batch endpoint has no key"):
        bench.endpoint("{name: scoring, auth_mode: key}")
    with pytest.raises(errors.NotFound, match="no deployment 'blue'"):
        bench.endpoint("{name: scoring, defaults: {deployment_name: blue}}")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("name: d\nendpoint_name: scoring\nmodel: azureml:nothing:1", errors.NotFound, "nothing"),
        ("name: d\nendpoint_name: missing\nmodel: {path: model.txt}", errors.NotFound, "No batch endpoint is named"),
        ("name: d\nendpoint_name: scoring\nmodel: {path: model.txt}", errors.InvalidInput, "no MLmodel file"),
        ("name: d\nendpoint_name: scoring", errors.InvalidInput, "names no model"),
        ("name: d\nendpoint_name: scoring\ntype: pipeline\nmodel: {path: model.txt}", errors.InvalidInput, "pipeline"),
        (
            f"name: d\nendpoint_name: scoring\nmodel: {{path: model.txt}}\nenvironment: {ENVIRONMENT}\n"
            "code_configuration: {code: code, scoring_script: no.py}",
            errors.InvalidInput, "holds no no.py",
        ),
        (
            f"name: d\nendpoint_name: scoring\nmodel: {{path: model.txt}}\nenvironment: {ENVIRONMENT}\n"
            "code_configuration: {code: code, scoring_script: score.py}\nsettings: {output_file_name: ../x}",
            errors.InvalidInput, "is not a file name",
        ),
    ],
)  # fmt: skip
def test_a_deployment_that_cannot_work_is_told_when_it_is_made(
    bench: Bench, text: str, kind: type[Exception], words: str
) -> None:
    bench.scripted()
    with pytest.raises(kind, match=words) as told:
        bench.deploy(text)
    assert "endpoint is named" in words or str(told.value.where).startswith("batch_deployment.yml")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("{tags: {a: b}}", errors.InvalidInput, "nothing to score"),
        ("inputs: {data: {path: 'azureml:gone:1'}}", errors.NotFound, "gone"),
        ("inputs: {data: {type: string, value: x}}", errors.InvalidInput, "is no data"),
        (
            "inputs: {data: {path: 'azureml://datastores/gone/paths/x'}}",
            errors.NotFound,
            "No datastore is named 'gone'",
        ),
        (
            "{inputs: {data: {path: data}}, outputs: {score: {path: 'azureml://datastores/gone/paths/x'}}}",
            errors.NotFound,
            "No datastore is named 'gone'",
        ),
        ("{inputs: {data: {path: data}}, deployment_name: red}", errors.NotFound, "no deployment 'red'"),
        ("{inputs: {data: {path: data}}, output_file_name: a/b}", errors.InvalidInput, "is not a file name"),
        ("{inputs: {data: {path: data}}, mini_batch_size: 0}", errors.InvalidInput, "mini_batch_size"),
        (
            "{inputs: {data: {path: data}}, outputs: {score: {path: 's3://b/x'}}}",
            errors.NotSupported,
            "cannot be placed",
        ),
    ],
)
def test_an_invocation_that_cannot_work_is_told_at_once_and_starts_nothing(
    bench: Bench, text: str, kind: type[Exception], words: str
) -> None:
    bench.write(data__a_dot_txt="1")
    bench.scripted()
    with pytest.raises(kind, match=words):
        bench.invoke(text)
    with bench.house.read() as ctx:
        assert queries.jobs_of(ctx, "scoring") == []
