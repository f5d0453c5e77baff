"""Jobs as steps: what each is given and gives, in which order they run, and what cannot work."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.specs import documents, model, pipelines
from doubleloop.specs.kinds import jobs
from doubleloop.specs.pipelines import Asset, Literal, PipelineInput, StepOutput

HEX = "tree:sha256:" + "c" * 64
PIPELINE = f"""
type: pipeline
inputs:
  raw: {{type: uri_file, path: 'azureml:rides:1'}}
  rate: 0.1
  cluster: small
outputs:
  model: {{type: mlflow_model, mode: upload}}
  scores:
settings: {{default_compute: azureml:cpu}}
jobs:
  report:
    command: python report.py ${{{{inputs.scores}}}}
    environment: azureml:e@latest
    inputs: {{scores: '${{{{parent.jobs.train.outputs.scores}}}}'}}
  prep:
    display_name: Prepare
    command: python prep.py --raw ${{{{inputs.raw}}}} --out ${{{{outputs.table}}}}
    code: {HEX}
    environment: {{image: python, conda_file: {{dependencies: [python=3.11]}}}}
    environment_variables: {{MODE: full}}
    limits: {{timeout: 60}}
    inputs: {{raw: '${{{{parent.inputs.raw}}}}'}}
    outputs: {{table: }}
  train:
    component: &train
      name: train
      command: >-
        python train.py --t ${{{{inputs.table}}}} --lr ${{{{inputs.rate}}}} $[[--seed ${{{{inputs.seed}}}}]]
        --n ${{{{inputs.rounds}}}} --m ${{{{outputs.model}}}} --s ${{{{outputs.scores}}}}
      code: {HEX}/train
      environment: azureml:train:3
      environment_variables: {{MODE: fast, A: '1'}}
      inputs:
        table: {{type: uri_folder, mode: ro_mount}}
        rate: {{type: number, min: 0, max: 1}}
        rounds: {{type: integer, default: 100}}
        seed: {{type: integer, optional: true}}
      outputs:
        model: {{type: custom_model}}
        scores: {{type: uri_file}}
      limits: {{timeout: 600}}
    compute: ${{{{parent.inputs.cluster}}}}
    environment_variables: {{MODE: slow}}
    inputs:
      table: {{path: '${{{{parent.jobs.prep.outputs.table}}}}', mode: download}}
      rate: ${{{{parent.inputs.rate}}}}
    outputs:
      model: ${{{{parent.outputs.model}}}}
"""


def parse(text: str) -> model.Document:
    return documents.parse(text, "p.yml", Path("/nowhere"))


def refused(text: str) -> errors.DoubleloopError:
    with pytest.raises(errors.DoubleloopError) as caught:
        parse(text)
    return caught.value


@pytest.fixture
def steps() -> dict[str, pipelines.Step]:
    return {step.name: step for step in pipelines.steps(parse(PIPELINE))}


def test_steps_come_after_what_they_need(steps: dict[str, pipelines.Step]) -> None:
    assert list(steps) == ["prep", "train", "report"]
    assert pipelines.order(parse(PIPELINE)) == ["prep", "train", "report"]
    assert {name: step.depends_on for name, step in steps.items()} == {
        "prep": (),
        "train": ("prep",),
        "report": ("train",),
    }
    assert pipelines.edges(parse(PIPELINE)) == [("train", "report"), ("prep", "train")]


def test_independent_steps_keep_the_order_of_writing() -> None:
    text = "type: pipeline\njobs:\n" + "".join(
        f"  {name}: {{command: x, environment: azureml:e:1}}\n" for name in ("z", "a", "m", "b")
    )
    assert pipelines.order(parse(text)) == ["z", "a", "m", "b"]


def test_an_inline_step_is_taken_as_written(steps: dict[str, pipelines.Step]) -> None:
    prep = steps["prep"]
    assert (prep.display_name, prep.code, prep.compute, prep.pointer) == ("Prepare", HEX, "cpu", "jobs.prep")
    assert prep.inputs == {"raw": PipelineInput("raw")}
    assert prep.outputs == {"table": pipelines.OutputDef("table")}
    assert prep.environment_variables == {"MODE": "full"}
    assert prep.limits and prep.limits.timeout == 60
    assert not isinstance(prep.environment, str) and prep.environment.image == "python"


def test_a_component_and_its_step_are_merged(steps: dict[str, pipelines.Step]) -> None:
    train = steps["train"]
    assert (train.component, train.code, train.environment) == ("train", f"{HEX}/train", "azureml:train:3")
    assert train.compute == "small"
    assert train.environment_variables == {"MODE": "slow", "A": "1"}
    assert train.limits and train.limits.timeout == 600
    assert train.inputs == {
        "table": StepOutput("prep", "table", "download"),
        "rate": PipelineInput("rate"),
        "rounds": Literal(100, "integer"),
    }
    assert train.unset == {"seed"}


def test_an_output_takes_its_type_from_step_component_or_pipeline(steps: dict[str, pipelines.Step]) -> None:
    outputs = steps["train"].outputs
    assert outputs["model"] == pipelines.OutputDef("model", "custom_model", "upload", pipeline_output="model")
    assert outputs["scores"] == pipelines.OutputDef("scores", "uri_file")
    text = (
        "type: pipeline\noutputs: {m: {type: uri_file}}\njobs:\n  a:\n    command: x\n    environment: azureml:e:1\n"
        "    outputs: {m: '${{parent.outputs.m}}', n: {path: '${{parent.outputs.m}}', type: mltable}}\n"
    )
    found = pipelines.steps(parse(text))[0].outputs
    assert [(item.type, item.pipeline_output) for item in found.values()] == [("uri_file", "m"), ("mltable", "m")]


def test_inputs_of_a_pipeline_are_values_or_data() -> None:
    assert pipelines.inputs(parse(PIPELINE)) == {
        "raw": Asset("azureml:rides:1", "uri_file"),
        "rate": Literal(0.1),
        "cluster": Literal("small"),
    }
    assert pipelines.outputs(parse(PIPELINE))["model"].type == "mlflow_model"


def test_a_command_job_is_one_step() -> None:
    job = parse(
        "command: python a.py ${{inputs.d}} ${{inputs.n}} ${{outputs.o}}\nenvironment: azureml:e:1\n"
        "compute: azureml:c\ninputs:\n  d: {type: mltable, path: 'azureml:t:1', mode: eval_mount}\n"
        "  n: {value: 3, type: integer}\n"
        "outputs:\n  o: {type: uri_file, name: result, version: 2, path: 'azureml://datastores/s/paths/${{name}}'}\n"
    )
    (step,) = pipelines.steps(job)
    assert step.name == pipelines.SINGLE_STEP
    assert step.inputs == {"d": Asset("azureml:t:1", "mltable", "eval_mount"), "n": Literal(3, "integer")}
    assert step.outputs["o"] == pipelines.OutputDef(
        "o", "uri_file", None, "azureml://datastores/s/paths/${{name}}", "result", "2"
    )
    assert step.compute == "c"


def test_an_input_without_a_value_loads_and_is_asked_for_when_it_runs() -> None:
    job = parse("command: x ${{inputs.d}}\nenvironment: azureml:e:1\ninputs:\n  d: {type: uri_folder}\n")
    with pytest.raises(errors.InvalidInput, match="input 'd' has no value") as caught:
        pipelines.steps(job)
    assert caught.value.where and caught.value.where.line == 4
    assert "--set inputs.d.path" in caught.value.cure


def test_a_registered_component_is_asked_for() -> None:
    text = (
        "type: pipeline\njobs:\n  a:\n    component: azureml:train:1\n    inputs: {rate: 0.5}\n"
        "  b:\n    component: azureml:train:1\n    inputs: {rate: '${{parent.jobs.a.outputs.anything}}'}\n"
    )
    document = parse(text)
    assert pipelines.order(document) == ["a", "b"]
    with pytest.raises(errors.NotFound, match="azureml:train:1") as caught:
        pipelines.steps(document)
    assert caught.value.where and caught.value.where.line == 4

    def known(reference: str) -> jobs.CommandComponent:
        assert reference == "azureml:train:1"
        component = {
            "command": "run ${{inputs.rate}}", "environment": "azureml:e:1", "inputs": {"rate": {"type": "number"}},
            "outputs": {"anything": None},
        }  # fmt: skip
        return jobs.CommandComponent.model_validate(component)

    found = pipelines.steps(document, component=known)
    assert [step.inputs["rate"] for step in found] == [Literal(0.5, "number"), StepOutput("a", "anything")]
    assert found[0].component == "azureml:train:1"


def step(name: str, inputs: str, command: str = "x") -> str:
    head = f"  {name}:\n    command: {command}\n    environment: azureml:e:1\n"
    return f"{head}    outputs: {{o: }}\n    inputs: {{{inputs}}}\n"


def out(name: str) -> str:
    return f"'${{{{parent.jobs.{name}.outputs.o}}}}'"


def test_a_cycle_is_named_with_the_line_of_one_of_its_inputs() -> None:
    text = "type: pipeline\njobs:\n" + step("first", "") + step("a", f"x: {out('c')}") + step("b", f"x: {out('a')}")
    error = refused(text + step("c", f"y: {out('first')}, x: {out('b')}") + step("last", f"x: {out('c')}"))
    assert isinstance(error, errors.InvalidInput)
    names = error.what.removeprefix("the steps wait for each other: ").split(" -> ")
    assert names[0] == names[-1] and set(names) == {"a", "b", "c"}
    ring = {("a", "b"), ("b", "c"), ("c", "a")}
    assert set(itertools.pairwise(names)) == ring
    assert error.where and error.where.path == f"jobs.{names[1]}.inputs.x"


def test_a_step_that_needs_itself_is_a_cycle() -> None:
    error = refused("type: pipeline\njobs:\n" + step("a", f"x: {out('a')}"))
    assert "a -> a" in error.what


@pytest.mark.parametrize(
    ("body", "line", "says", "cure"),
    [
        (step("prep", "") + step("b", "x: '${{parent.jobs.pre.outputs.o}}'"), 12, "the step 'pre' does not exist",
         "did you mean 'prep'?"),
        (step("prep", "") + step("b", "x: '${{parent.jobs.prep.outputs.out}}'"), 12, "the output 'out' does not exist",
         "known here: o"),
        (step("a", "x: '${{parent.inputs.raw_dat}}'"), 7, "the pipeline input 'raw_dat' does not exist",
         "did you mean 'raw_data'?"),
        (step("a", "", "run ${{inputs.x}}"), 4, "the input 'x' does not exist", "known here: none"),
        (step("a", "tabel: 1", "run ${{inputs.table}}"), 4, "the input 'table' does not exist",
         "did you mean 'tabel'?"),
        (step("a", "", "run ${{outputs.p}}"), 4, "the output 'p' does not exist", "known here: o"),
        (step("a", "", "run ${{parent.inputs.raw_data}}"), 4, "cannot stand in a command", "bind it to an input"),
        (step("a", "x: 'a-${{parent.inputs.raw_data}}'"), 7, "cannot be the value of a step's input", "alone"),
        (step("a", "x: '${{inputs.y}}'"), 7, "cannot be the value of a step's input", "alone"),
        (step("a", "x: {type: uri_file}"), 7, "gets no value for its input 'x'", "add 'x: ...'"),
        ("  a:\n    command: x\n", 3, "the step 'a' has no environment", "add 'environment"),
        ("  a:\n    environment: azureml:e:1\n", 3, "needs one of 'command' and 'component'", ""),
        ("  a:\n    command: x\n    environment: azureml:e:1\n    outputs: {o: '${{parent.outputs.modle}}'}\n", 6,
         "the pipeline output 'modle' does not exist", "did you mean 'model'?"),
        ("  a:\n    command: x\n    environment: azureml:e:1\n    outputs: {o: azureml://datastores/s/paths/p}\n", 6,
         "is not an output of the pipeline", "{path:"),
        ("  a:\n    command: x\n    environment: azureml:e:1\n    compute: '${{parent.inputs.where}}'\n", 6,
         "the pipeline input 'where' does not exist", ""),
    ],
)  # fmt: skip
def test_what_a_step_lacks_is_said_with_line_and_nearest_name(body: str, line: int, says: str, cure: str) -> None:
    error = refused("type: pipeline\njobs:\n" + body + "inputs: {raw_data: 1}\noutputs: {model: }\n")
    assert isinstance(error, errors.InvalidInput)
    assert says in error.what
    assert cure in error.cure
    assert error.where and error.where.line == line


COMPONENT = (
    "  a:\n    component:\n      command: run ${{inputs.rate}} ${{inputs.kind}} ${{inputs.data}}\n"
    "      environment: azureml:e:1\n      inputs:\n        rate: {type: number, min: 0, max: 1}\n"
    "        kind: {type: string, enum: [a, b], default: a}\n        data: {type: uri_file}\n    inputs:\n"
)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ("      rate: 0.5\n", "gets no value for its input 'data'"),
        ("      rate: 2\n      data: azureml:x:1\n", "'rate' must be at most 1"),
        ("      rate: -1\n      data: azureml:x:1\n", "'rate' must be at least 0"),
        ("      rate: fast\n      data: azureml:x:1\n", "'rate' must be a number, not 'fast'"),
        ("      rate: true\n      data: azureml:x:1\n", "'rate' must be a number"),
        ("      rate: 1\n      data: azureml:x:1\n      kind: c\n", "'kind' must be one of a, b"),
        ("      rate: 1\n      data: local.csv\n", "'data' is data (uri_file), and 'local.csv' is a value"),
        ("      rate: 1\n      data: azureml:x:1\n      knd: a\n", "the input 'knd' does not exist"),
    ],
)
def test_inputs_must_fit_what_the_component_declares(inputs: str, says: str) -> None:
    assert says in refused("type: pipeline\njobs:\n" + COMPONENT + inputs).what


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{type: integer, value: abc}", "must be a whole number, not 'abc'"),
        ("{type: integer, value: 1.5}", "must be a whole number"),
        ("{type: number, default: fast}", "must be a number"),
        ("{type: boolean, value: maybe}", "must be true or false"),
    ],
)
@pytest.mark.parametrize(
    "body",
    ["command: x\nenvironment: azureml:e:1\n", "type: pipeline\njobs: {a: {command: x, environment: azureml:e:1}}\n"],
)
def test_a_value_of_a_job_must_be_of_its_type(value: str, says: str, body: str) -> None:
    job = documents.parse(body + "inputs: {n: {type: integer, value: '7'}}\n", "j.yml", Path.cwd())
    assert pipelines.inputs(job) == {"n": Literal("7", "integer")}
    with pytest.raises(errors.InvalidInput, match=says) as caught:
        documents.parse(f"{body}inputs: {{n: {value}}}\n", "j.yml", Path.cwd())
    assert caught.value.where and caught.value.where.line == 3


def test_a_reference_given_as_text_to_a_data_input_is_data() -> None:
    text = "type: pipeline\njobs:\n" + COMPONENT + "      rate: '0.5'\n      data: azureml:x:1\n"
    (found,) = pipelines.steps(parse(text))
    assert found.inputs == {
        "rate": Literal("0.5", "number"),
        "data": Asset("azureml:x:1", "uri_file"),
        "kind": Literal("a", "string"),
    }


def test_an_optional_input_must_stand_in_a_block() -> None:
    text = "name: c\nversion: 1\ncommand: run ${{inputs.n}}\nenvironment: azureml:e:1\n"
    error = refused(text + "inputs: {n: {type: integer, optional: true}}\n")
    assert "stands outside an optional block" in error.what and error.where and error.where.line == 3


def test_an_output_that_the_component_does_not_declare_is_refused() -> None:
    text = "type: pipeline\njobs:\n" + COMPONENT + "      rate: 1\n      data: azureml:x:1\n    outputs: {more: }\n"
    assert "the output 'more' does not exist" in refused(text).what


def test_literals_read_like_in_azure() -> None:
    assert [pipelines.text(value) for value in (True, 3, 0.5, "x")] == ["True", "3", "0.5", "x"]


def test_only_jobs_have_steps() -> None:
    with pytest.raises(errors.InvalidInput, match="a data has no steps"):
        pipelines.steps(parse("name: d\ntype: uri_file\npath: https://x\n"))
