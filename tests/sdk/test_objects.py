"""What programs describe is what files of the same meaning load to; what is wrong is told with the program's line."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doubleloop import sdk
from doubleloop.sdk import (
    Data,
    Environment,
    Input,
    Model,
    Output,
    command,
    dsl,
    errors,
    load,
    load_component,
    load_job,
    pipeline,
    spark,
)
from doubleloop.sdk import entities as es
from doubleloop.sdk.entities import assets, batch, online, schedules, settings, values
from doubleloop.sdk.parallel import RunFunction, parallel_run_function
from doubleloop.sdk.steps import commands, learning, parallels, searching, sparks
from doubleloop.sdk.steps.components import Component
from doubleloop.sdk.sweep import BayesianSamplingAlgorithm, Choice, TruncationSelectionPolicy, Uniform
from doubleloop.specs import documents, sources
from doubleloop.specs import kinds as _  # noqa: F401
from doubleloop.specs.kinds import assets as k_assets
from doubleloop.specs.kinds import automl as k_automl
from doubleloop.specs.kinds import batch as k_batch
from doubleloop.specs.kinds import distribution as k_distribution
from doubleloop.specs.kinds import environment as k_environment
from doubleloop.specs.kinds import graphs as k_graphs
from doubleloop.specs.kinds import jobs as k_jobs
from doubleloop.specs.kinds import online as k_online
from doubleloop.specs.kinds import parallel as k_parallel
from doubleloop.specs.kinds import schedules as k_schedules
from doubleloop.specs.kinds import spark as k_spark
from doubleloop.specs.kinds import sweeps as k_sweeps
from doubleloop.specs.kinds import values as k_values

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
FILES = [
    *(ROOT / "tests" / "specs" / "referee" / "cases").glob("*.yml"), CASES / "train.yml",
    *(ROOT / "examples" / "open-gate").rglob("*.yml"), *(ROOT / "examples" / "bikes" / "components").glob("*.yml"),
    *(ROOT / "examples" / "bikes" / "train").glob("*.yml"), *(ROOT / "examples" / "bikes" / "deploy").glob("*.yml"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)


def written(text: str) -> dict[str, Any]:
    """What a file of this text loads to."""
    return documents.parse(text, "file.yml", CASES).spec()


# -- files ------------------------------------------------------------------------------------------------------------


def test_what_is_loaded_from_a_file_is_the_file_with_its_lines() -> None:
    compared = 0
    for path in FILES:
        try:
            document = documents.load(path)
        except errors.DoubleloopError as error:  # a case that is wrong on purpose is told in the same words
            with pytest.raises(type(error)) as caught:
                load(path)
            assert str(caught.value) == str(error)
            continue
        again = load(path).document()
        assert (again.kind, again.spec()) == (document.kind, document.spec()), path.name
        for at in ("name", "inputs", "jobs.prep.command", "trigger", "environment"):
            assert again.where(at).line == document.where(at).line, (path.name, at)
        compared += 1
    assert compared > 30


def test_a_dumped_file_loads_to_the_same(tmp_path: Path) -> None:
    names = ("pipeline", "command-environment-inline", "online-deployment", "schedule-recurrence", "batch-deployment")
    for name in names:
        entity = load(FILES[0].parent / f"{name}.yml")
        before = entity.document()
        entity.dump(tmp_path / name)
        assert carried(documents.load(tmp_path / name, kind=before.kind).spec()) == carried(before.spec()), name
    with pytest.raises(FileExistsError):
        entity.dump(tmp_path / name)


def carried(value: Any) -> Any:
    """A document with what carried files hold, which are written in other words by ``dump``."""
    if isinstance(value, dict):
        return (
            sources.read(value["text"], "x", Path())[0]
            if "$file" in value
            else {k: carried(v) for k, v in value.items()}
        )
    return [carried(each) for each in value] if isinstance(value, list) else value


def test_a_loaded_job_is_changed_and_told_with_the_line_of_the_change(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("command: echo ${{inputs.rate}}\nenvironment: azureml:e:1\ninputs:\n  rate: 1\n")
    job = load_job(tmp_path / "job.yml", params_override=[{"inputs.rate": 2}, {"tags.team": "rides"}])
    assert job.inputs.rate == 2
    job.inputs.rate = 0.5
    job.display_name = "Again"
    spec = job.document().spec()
    assert (spec["inputs"], spec["display_name"], spec["tags"]) == ({"rate": 0.5}, "Again", {"team": "rides"})
    assert job.document().where("command") == errors.Where(str(tmp_path / "job.yml"), 1, "command")
    job.inputs.rate = {"typ": "number"}
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    with pytest.raises(errors.InvalidInput, match="unknown field 'typ'") as caught:
        job.validate()
    assert (caught.value.where.file, caught.value.where.line) == (sdk.calls.shown(__file__), line)


# -- objects ----------------------------------------------------------------------------------------------------------


def test_a_command_is_the_file_of_the_same_meaning() -> None:
    job = command(
        name="once", command="python train.py --data ${{inputs.data}} --rate ${{inputs.rate}}", code=Path("src"),
        environment=Environment(image="ubuntu", conda_file="conda.yaml"),
        inputs={"data": Input(type="uri_file", path="data.csv"), "rate": 0.5},
        outputs={"model": Output(type="mlflow_model", name="bikes")}, environment_variables={"A": "1"},
        distribution=sdk.MpiDistribution(process_count_per_instance=2), compute="cpu", timeout=60,
        instance_count=2, tags={"a": "b"},
    )  # fmt: skip
    assert carried(job.document().spec()) == carried(
        written("""
        type: command
        name: once
        command: python train.py --data ${{inputs.data}} --rate ${{inputs.rate}}
        code: src
        environment: {image: ubuntu, conda_file: conda.yaml}
        inputs: {data: {type: uri_file, path: data.csv}, rate: 0.5}
        outputs: {model: {type: mlflow_model, name: bikes}}
        environment_variables: {A: "1"}
        distribution: {type: mpi, process_count_per_instance: 2}
        resources: {instance_count: 2}
        limits: {timeout: 60}
        compute: cpu
        tags: {a: b}
    """)
    )
    assert documents.from_wire(job.document().to_wire()).spec() == job.document().spec()
    again = copy.deepcopy(job)
    again.inputs.rate, again.outputs.model.name = 0.7, "cars"
    assert (job.inputs.rate, job.outputs["model"].name) == (0.5, "bikes")
    assert again.document().spec()["outputs"] == {"model": {"type": "mlflow_model", "name": "cars"}}


def test_a_pipeline_is_the_file_of_the_same_meaning() -> None:
    train = load_component("train.yml")
    prep = command(
        command="cp ${{inputs.raw}} ${{outputs.clean}}", environment="azureml:env:1",
        inputs={"raw": Input(type="uri_folder")}, outputs={"clean": Output(type="uri_folder")},
    )  # fmt: skip

    @pipeline(default_compute="cpu", experiment_name="rides", tags={"a": "b"}, on_finalize="tidy",
              non_pipeline_inputs=["note"])  # fmt: skip
    def two(raw: Input(type="uri_folder"), rate: float = 0.2, label: str | None = None, note: str = "x"):
        """Two steps."""
        first = prep(raw=raw)
        for each in (0.1, 0.2):
            train(data=first.outputs.clean, rate=each)
        last = train(data=first.outputs.clean, rate=rate, label=label)
        last.compute, last.limits = "gpu", es.CommandJobLimits(timeout=5)
        last.outputs.model.name = "bikes"
        tidy = command(command=f"echo {note}", environment="azureml:env:1")
        tidy.display_name = "Tidy up"
        return {"model": last.outputs.model}

    job = two(raw=Data(name="raw", path="src", type="uri_folder"), rate=0.3)
    assert list(job.jobs) == ["first", "train_model", "train_model_1", "last", "tidy"]
    assert job.document().spec() == written("""
        type: pipeline
        display_name: two
        experiment_name: rides
        tags: {a: b}
        settings: {default_compute: cpu, on_finalize: tidy}
        inputs:
          raw: {type: uri_folder, path: src}
          rate: 0.3
          label: {type: string, optional: true}
        outputs: {model: {type: mlflow_model}}
        jobs:
          first:
            type: command
            command: cp ${{inputs.raw}} ${{outputs.clean}}
            environment: azureml:env:1
            inputs: {raw: {type: uri_folder, path: "${{parent.inputs.raw}}"}}
            outputs: {clean: {type: uri_folder}}
          train_model:
            type: command
            component: train.yml
            inputs: {data: "${{parent.jobs.first.outputs.clean}}", rate: 0.1}
          train_model_1:
            type: command
            component: train.yml
            inputs: {data: "${{parent.jobs.first.outputs.clean}}", rate: 0.2}
          last:
            type: command
            component: train.yml
            inputs: {data: "${{parent.jobs.first.outputs.clean}}", rate: "${{parent.inputs.rate}}",
                     label: "${{parent.inputs.label}}"}
            outputs: {model: {name: bikes, path: "${{parent.outputs.model}}"}}
            compute: gpu
            limits: {timeout: 5}
          tidy:
            type: command
            command: echo x
            environment: azureml:env:1
            display_name: Tidy up
    """)


def test_conditions_loops_and_searches_are_steps() -> None:
    check = command(
        command="echo true > ${{outputs.good}}", environment="azureml:e:1", inputs={"n": 1},
        outputs={"good": Output(type="boolean", is_control=True), "n": Output(type="integer")}, is_deterministic=False,
    )  # fmt: skip
    tell = command(command="echo ${{inputs.word}}", environment="azureml:e:1", inputs={"word": "yes"})

    @dsl.pipeline(default_compute="cpu")
    def deciding():
        body = check(n=1)
        dsl.do_while(body=body, condition=body.outputs.good, mapping={body.outputs.n: "n"}, max_iteration_count=3)
        look = check()
        yes, no = tell(word="yes"), tell(word="no")
        choice = dsl.condition(condition=look.outputs.good, true_block=yes, false_block=no)
        each = tell()
        dsl.parallel_for(body=each, items=[{"word": "a"}, {"word": "b"}], max_concurrency=1)
        asked = command(command="echo ${{inputs.a}}", environment="azureml:e:1", inputs={"a": 1})
        asked_twice = [asked(a=2), asked(a=3)]
        search = tell(word=Choice(["a", "b"])).sweep(primary_metric="m", goal="maximize", max_total_trials=2)
        assert choice and search and asked_twice

    spec = deciding().document().spec()
    assert list(spec["jobs"]) == [
        "body", "do_while", "look", "yes", "no", "choice", "each", "parallel_for", "command", "command_1", "search",
    ]  # fmt: skip
    component = {
        "type": "command", "command": "echo true > ${{outputs.good}}", "environment": "azureml:e:1",
        "is_deterministic": False, "inputs": {"n": {"type": "integer"}},
        "outputs": {"good": {"type": "boolean", "is_control": True}, "n": {"type": "integer"}},
    }  # fmt: skip
    assert spec["jobs"]["body"]["component"] == component
    assert spec["jobs"]["do_while"] == {
        "type": "do_while", "body": "${{parent.jobs.body}}", "condition": "${{parent.jobs.body.outputs.good}}",
        "mapping": {"n": ["n"]}, "limits": {"max_iteration_count": 3},
    }  # fmt: skip
    assert spec["jobs"]["choice"] == {
        "type": "if_else", "condition": "${{parent.jobs.look.outputs.good}}", "true_block": ["${{parent.jobs.yes}}"],
        "false_block": ["${{parent.jobs.no}}"],
    }  # fmt: skip
    assert spec["jobs"]["parallel_for"]["items"] == [{"word": "a"}, {"word": "b"}]
    assert spec["jobs"]["search"]["trial"]["inputs"] == {"word": {"type": "string"}}


def test_searches_mini_batches_and_spark_are_jobs() -> None:
    trial = command(
        command="fit ${{inputs.a}} ${{inputs.b}}", environment="azureml:e:1", inputs={"a": 1.0, "b": 2}, compute="cpu"
    )  # fmt: skip
    sweep = trial(a=Uniform(0, 1)).sweep(
        primary_metric="loss", goal="minimize", sampling_algorithm=BayesianSamplingAlgorithm(), max_total_trials=3,
        early_termination_policy=TruncationSelectionPolicy(truncation_percentage=20),
    )  # fmt: skip
    assert sweep.document().spec() == written("""
        type: sweep
        trial: {command: "fit ${{search_space.a}} ${{inputs.b}}", environment: "azureml:e:1"}
        search_space: {a: {type: uniform, min_value: 0, max_value: 1}}
        objective: {goal: minimize, primary_metric: loss}
        sampling_algorithm: {type: bayesian}
        early_termination: {type: truncation_selection, truncation_percentage: 20}
        limits: {max_total_trials: 3}
        inputs: {b: 2}
        compute: cpu
    """)
    searched = load_component("train.yml")(data="azureml:rides:1", rate=Uniform(0, 1)).sweep(
        primary_metric="loss", goal="minimize", max_total_trials=3
    )
    spec = searched.document().spec()
    assert spec["inputs"] == {
        "data": {"type": "uri_folder", "mode": "ro_mount", "path": "azureml:rides:1"},
        "label": {"type": "string", "optional": True},
    }
    assert "--rate ${{search_space.rate}}" in spec["trial"]["command"]
    rows = parallel_run_function(
        inputs={"rows": Input(type="uri_folder", path="src")}, outputs={"out": Output(type="uri_file")},
        input_data="${{inputs.rows}}", mini_batch_size=2,
        task=RunFunction(code="src", entry_script="train.py", environment="azureml:e:1",
                         append_row_to="${{outputs.out}}"),
    )  # fmt: skip
    assert rows.document().spec() == written("""
        type: parallel
        inputs: {rows: {type: uri_folder, path: src}}
        outputs: {out: {type: uri_file}}
        input_data: ${{inputs.rows}}
        mini_batch_size: 2
        task: {code: src, entry_script: train.py, environment: "azureml:e:1", append_row_to: "${{outputs.out}}"}
    """)
    job = spark(entry="train.py", code="src", args="--x 1", driver_cores=1, executor_memory="1g", conf={"spark.a": "b"})
    assert job.document().spec() == written("""
        type: spark
        entry: {file: train.py}
        code: src
        args: --x 1
        conf: {spark.driver.cores: 1, spark.executor.memory: 1g, spark.a: b}
    """)


def test_a_component_is_shared_and_a_pipeline_is_one() -> None:
    @pipeline(name="fit", version="2")
    def fit(data: Input(type="uri_folder"), rate: float = 0.5):  # type: ignore[valid-type]
        done = load_component("train.yml")(data=data, rate=rate)
        return {"model": done.outputs.model}

    component = fit.component
    spec = component.document().spec()
    assert (component.document().kind, spec["name"], spec["version"]) == ("pipeline_component", "fit", "2")
    assert spec["inputs"] == {"data": {"type": "uri_folder"}, "rate": {"type": "number", "default": 0.5}}
    assert spec["outputs"] == {"model": {"type": "mlflow_model"}}

    @pipeline
    def outer(data: Input(type="uri_folder")):  # type: ignore[valid-type]
        inner = fit(data=data)
        kept = component(data=data, rate=0.1)
        return {"one": inner.outputs.model, "two": kept.outputs.model}

    jobs = outer(data="azureml:rides:1").document().spec()["jobs"]
    assert list(jobs) == ["inner", "kept"]
    assert {jobs[each]["type"] for each in jobs} == {"pipeline"}
    one = command(command="echo ${{inputs.a}}", environment="azureml:e:1", inputs={"a": Input(type="number", min=0)})
    assert one.component.document().spec()["inputs"] == {"a": {"type": "number", "min": 0}}


def test_a_schedule_holds_its_job() -> None:
    schedule = es.JobSchedule(
        name="nightly", trigger=es.CronTrigger(expression="0 3 * * *", time_zone="Europe/Rome"),
        create_job=command(command="echo", environment="azureml:e:1"),
    )  # fmt: skip
    assert schedule.document().spec() == written("""
        name: nightly
        trigger: {type: cron, expression: 0 3 * * *, time_zone: Europe/Rome}
        create_job: {job: {type: command, command: echo, environment: "azureml:e:1"}}
    """)


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_told_with_the_line_of_the_program() -> None:
    wrong = command(
        environment="azureml:e:1",
        command="echo ${{inputs.rat}}",
        inputs={
            "rate": 1,
        },
    )  # fmt: skip
    line = inspect.currentframe().f_lineno - 7  # type: ignore[union-attr]
    with pytest.raises(errors.InvalidInput, match="did you mean 'rate'") as caught:
        wrong.validate()
    assert (caught.value.where.line, caught.value.where.path) == (line + 2, "command")
    assert caught.value.where.file == sdk.calls.shown(__file__)
    wrong.command = "echo ${{inputs.rate}}"
    assert wrong.document().where("inputs.rate").line == line + 4
    assert wrong.document().where("command").line == line + 12
    with pytest.raises(errors.InvalidInput, match="does not exist") as caught:
        Data(name="x", path="nothing.csv", type="uri_file").validate()
    assert caught.value.where.path == "path"
    with pytest.raises(errors.InvalidInput, match="must be one of minimize, maximize"):
        wrong(rate=Choice([1])).sweep(primary_metric="m", goal="less", max_total_trials=1).validate()
    assert (
        command(command="x", environment="azureml:e:1", instance_type="D3")
        .validate()[0]
        .endswith(
            "(resources.instance_type): 'instance_type' " + __import__("doubleloop.specs.support").specs.support.SIZE
        )
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("train(dta=data)", "no input 'dta'.*did you mean 'data'"),
        ("train(data=data).outputs.modle", "no output 'modle'.*did you mean 'model'"),
        ("train(data=data, rate=Uniform(0, 1))", "'rate' is a search space"),
        ("train(data=elsewhere.outputs.model)", "not part of this pipeline"),
        ("data.x", "no attribute 'x'"),
        ("1 / 0 if data else 2", "'data' is not known while the pipeline is composed"),
        ("return {'a': 1}", "returns as 'a' int"),
        ("return [1]", "returns list"),
        ("train(data=data).sweep(primary_metric='a', goal='minimize')", "nothing to search for"),
        ("train(rate=0.5)", "'data'"),
    ],
)
def test_what_is_composed_wrongly_is_told(body: str, told: str) -> None:
    train = load_component("train.yml")
    scope = {"train": train, "Uniform": Uniform, "elsewhere": train(data="azureml:x:1"), "Input": Input}
    exec(f"def wrong(data: Input(type='uri_folder')):\n    {body}\n", scope)
    with pytest.raises((errors.InvalidInput, AttributeError), match=f"(?s){told}"):
        pipeline(scope["wrong"])(data="azureml:rides:1").validate()


def test_what_is_given_to_a_pipeline_wrongly_is_told() -> None:
    @pipeline
    def fit(data, rate: float = 1.0):
        load_component("train.yml")(data=data, rate=rate)

    with pytest.raises(errors.InvalidInput, match="no parameter 'dat'"):
        fit(dat=1)  # type: ignore[call-arg]
    with pytest.raises(errors.InvalidInput, match="missing a required argument: 'data'"):
        fit()  # type: ignore[call-arg]
    with pytest.raises(errors.InvalidInput, match="'rate' must be a number, not 'fast'"):
        fit(data="azureml:rides:1", rate="fast").validate()  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidInput, match="not known what the parameter 'data'"):
        _ = fit.component


# -- one truth --------------------------------------------------------------------------------------------------------

# Each class and what a file may say of it. Of a component's own fields a command has ``is_deterministic``.
PAIRS: list[tuple[type, type, set[str]]] = [
    (assets.Data, k_assets.Data, set()),
    (assets.Model, k_assets.Model, set()),
    (assets.Environment, k_environment.Environment, set()),
    (assets.BuildContext, k_environment.BuildContext, set()),
    (online.ManagedOnlineEndpoint, k_online.OnlineEndpoint, set()),
    (online.ManagedOnlineDeployment, k_online.OnlineDeployment, set()),
    (online.CodeConfiguration, k_online.CodeConfiguration, set()),
    (online.OnlineRequestSettings, k_online.RequestSettings, set()),
    (online.ProbeSettings, k_online.Probe, set()),
    (online.TargetUtilizationScaleSettings, k_online.ScaleSettings, set()),
    (online.DataCollector, k_online.DataCollector, set()),
    (online.DeploymentCollection, k_online.Collection, set()),
    (online.RequestLogging, k_online.RequestLogging, set()),
    (batch.BatchEndpoint, k_batch.BatchEndpoint, set()),
    (batch.BatchDeployment, k_batch.BatchDeployment, set()),
    (batch.ModelBatchDeploymentSettings, k_batch.BatchSettings, set()),
    (batch.BatchRetrySettings, k_batch.Retry, set()),
    (batch.EndpointDefaults, k_batch.BatchDefaults, set()),
    (schedules.CronTrigger, k_schedules.CronTrigger, set()),
    (schedules.RecurrenceTrigger, k_schedules.RecurrenceTrigger, set()),
    (schedules.RecurrencePattern, k_schedules.Pattern, set()),
    (schedules.JobSchedule, k_schedules.Schedule, {"create_monitor"}),
    (schedules.MonitorSchedule, k_schedules.Schedule, {"create_job"}),
    (settings.JobResourceConfiguration, k_jobs.Resources, set()),
    (settings.CommandJobLimits, k_jobs.Limits, set()),
    (settings.SweepJobLimits, k_sweeps.SweepLimits, set()),
    (settings.PyTorchDistribution, k_distribution.PyTorch, set()),
    (settings.MpiDistribution, k_distribution.Mpi, set()),
    (settings.TensorFlowDistribution, k_distribution.TensorFlow, set()),
    (settings.RayDistribution, k_distribution.Ray, set()),
    (settings.RetrySettings, k_parallel.Retry, set()),
    (settings.RunFunction, k_parallel.Task, set()),
    (settings.PipelineJobSettings, k_graphs.Settings, set()),
    (commands.Command, k_jobs.CommandJob, {"is_deterministic"}),
    (parallels.Parallel, k_parallel.ParallelJob, {"is_deterministic"}),
    (sparks.Spark, k_spark.SparkJob, set()),
    (searching.Sweep, k_sweeps.SweepJob, set()),
    (learning.AutoML, k_automl.AutomlJob, {"inputs"}),
    (sdk.dsl.pipeline.__globals__["PipelineJob"], k_graphs.PipelineJob, set()),
    (searching.Choice, k_sweeps.Choice, set()),
    (searching.Uniform, k_sweeps.Between, set()),
    (searching.QUniform, k_sweeps.SteppedBetween, set()),
    (searching.Normal, k_sweeps.Normal, set()),
    (searching.QNormal, k_sweeps.SteppedNormal, set()),
    (searching.Randint, k_sweeps.Randint, set()),
    (searching.RandomSamplingAlgorithm, k_sweeps.Sampling, set()),
    (searching.Objective, k_sweeps.Objective, set()),
    (searching.BanditPolicy, k_sweeps.Bandit, set()),
    (searching.MedianStoppingPolicy, k_sweeps.MedianStopping, set()),
    (searching.TruncationSelectionPolicy, k_sweeps.TruncationSelection, set()),
]


@pytest.mark.parametrize(("ours", "files", "besides"), PAIRS, ids=[each[0].__name__ for each in PAIRS])
def test_a_class_has_the_fields_of_a_file(ours: Any, files: Any, besides: set[str]) -> None:
    assert set(ours._names().values()) ^ (set(files.field_names()) - {"$schema"}) <= besides


def test_an_automl_job_is_loaded_changed_and_written(tmp_path: Path) -> None:
    text = (
        "type: automl\ntask: classification\ntarget_column_name: y\nlimits: {max_trials: 4}\n"
        "training_data: {type: mltable, path: azureml:rows:1}\noutputs: {best_model: {type: mlflow_model}}\n"
    )
    (tmp_path / "job.yml").write_text(text)
    job = sdk.load_job(tmp_path / "job.yml")
    assert job.document().spec() == documents.load(tmp_path / "job.yml").spec()
    job.target_column_name, job.training_data.path = "z", "azureml:rows:2"  # type: ignore[attr-defined]
    spec = job.document().spec()
    assert (spec["target_column_name"], spec["training_data"]["path"]) == ("z", "azureml:rows:2")


def test_inputs_and_outputs_have_the_fields_of_jobs_and_of_components() -> None:
    wanted = set(k_values.Input.field_names()) | set(k_values.ComponentInput.field_names())
    assert set(values.Input._names().values()) == wanted
    wanted = set(k_values.Output.field_names()) | set(k_values.ComponentOutput.field_names())
    assert set(values.Output._names().values()) == wanted


def test_every_name_is_found_and_nothing_is_imported_before() -> None:
    for name in sdk._PLACES:
        assert getattr(sdk, name) is not None
    assert isinstance(load_component("train.yml"), Component)
    assert Model(name="m", path="src").document().kind == "model"
    with pytest.raises(AttributeError):
        _ = sdk.MlClient
    program = (
        "import sys, doubleloop.sdk as sdk\n"
        "assert not [m for m in sys.modules if m.startswith('doubleloop.') and not m.startswith('doubleloop.sdk')]\n"
        "from doubleloop.sdk import MLClient, command, pipeline, Input\n"
        "heavy = {'pydantic', 'pandas', 'polars', 'numpy', 'ruamel.yaml', 'doubleloop.specs.documents'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
