"""Files of every kind become documents; what is wrong in them is said with file, line and cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.specs import detection, documents, model

HOSTS = (
    "https://azuremlschemas.azureedge.net/latest/{}.schema.json",
    "https://azuremlsdk2.blob.core.windows.net/preview/0.0.1/{}.schema.json",
    "http://azureml/sdk-2-0/{}.json",
)
TREE, BLOB = "tree:sha256:" + "a" * 64, "blob:sha256:" + "b" * 64

# A deployment that scales, up to the fields that say how.
SCALED = "name: blue\nendpoint_name: e\nscale_settings:\n  type: target_utilization\n"

FILES: dict[str, str] = {
    "data": "name: d\ntype: uri_file\npath: https://example.com/x.csv\n",
    "environment": "name: e\nimage: python\nconda_file: {dependencies: [python=3.11]}\n",
    "model": "name: m\ntype: mlflow_model\npath: runs:/abc/model\n",
    "command_job": "type: command\ncommand: echo hi\nenvironment: azureml:e@latest\n",
    "pipeline_job": "type: pipeline\njobs:\n  a: {command: echo, environment: azureml:e@latest}\n",
    "command_component": "name: c\nversion: 1\ntype: command\ncommand: echo\nenvironment: azureml:e:1\n",
    "pipeline_component": "name: c\nversion: 1\ntype: pipeline\njobs:\n"
    "  a: {command: echo, environment: azureml:e@latest}\n",
    "sweep_job": "type: sweep\ntrial: {command: echo, environment: azureml:e@latest}\n"
    "search_space: {x: {type: choice, values: [1, 2]}}\nobjective: {goal: minimize, primary_metric: loss}\n"
    "limits: {max_total_trials: 2}\n",
    "parallel_job": "type: parallel\ntask: {entry_script: run.py, environment: azureml:e@latest}\n"
    "inputs: {d: {type: uri_folder, path: azureml:d@latest}}\n",
    "spark_job": "type: spark\nentry: {file: run.py}\nconf: {spark.driver.cores: 1}\n",
    "automl_job": "type: automl\ntask: classification\ntarget_column_name: y\ntraining_data: {path: azureml:d:1}\n",
    "parallel_component": "name: c\nversion: 1\ntype: parallel\ninputs: {d: {type: uri_folder}}\n"
    "task: {entry_script: run.py, environment: azureml:e@latest}\n",
    "spark_component": "name: c\nversion: 1\ntype: spark\nentry: {file: run.py}\n",
    "online_endpoint": "name: p\nauth_mode: key\ntraffic: {blue: 100}\n",
    "online_deployment": "name: blue\nendpoint_name: p\nmodel: azureml:m:1\ninstance_type: Standard_DS3_v2\n"
    "instance_count: 1\n",
    "batch_endpoint": "name: b\ndefaults: {deployment_name: d}\n",
    "batch_deployment": "name: d\nendpoint_name: b\nmodel: azureml:m@latest\nmini_batch_size: 10\n"
    "output_action: append_row\n",
    "batch_invocation": "inputs:\n  data: {type: uri_folder, path: azureml:d:1}\n",
    "compute": "name: cpu\ntype: amlcompute\nmax_instances: 2\n",
    "datastore": "name: s\ntype: azure_blob\naccount_name: a\ncontainer_name: c\n",
    "workspace": "name: w\nlocation: eastus\n",
    "schedule": "name: s\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_monitor: {}\n",
    "setup": "workspaces:\n- {name: dev, kind: preproduction}\n",
    "release": "name: r\nmodel: azureml:m\nstages:\n- {workspace: dev}\n",
    "registry": "name: r\nlocation: westeurope\nreplication_locations: [{location: westeurope}]\n",
    "rule": "name: r\non: monitor.alert\ndo: [{retrain: {release: r}}]\n",
    "contract": "columns: {a: {type: number}}\n",
    "labeling": "name: l\ntask: text_classification\nlabels: [a, b]\ndata: azureml:d:1\ncolumn: x\noutput: o\n",
}
SCHEMAS = {
    "data": "data", "environment": "environment", "model": "model", "command_job": "commandJob",
    "pipeline_job": "pipelineJob", "command_component": "commandComponent", "pipeline_component": "pipelineComponent",
    "sweep_job": "sweepJob", "parallel_job": "parallelJob", "spark_job": "sparkJob", "automl_job": "automlJob",
    "parallel_component": "parallelComponent", "spark_component": "sparkComponent",
    "online_endpoint": "managedOnlineEndpoint", "online_deployment": "managedOnlineDeployment",
    "batch_endpoint": "batchEndpoint", "batch_deployment": "modelBatchDeployment", "compute": "amlCompute",
    "datastore": "azureBlob", "workspace": "workspace", "schedule": "Schedule", "registry": "registry",
}  # fmt: skip


def parse(text: str, **options: object) -> model.Document:
    return documents.parse(text, "f.yml", Path("/nowhere"), **options)  # type: ignore[arg-type]


def refused(text: str, **options: object) -> errors.DoubleloopError:
    with pytest.raises(errors.DoubleloopError) as caught:
        parse(text, **options)
    return caught.value


@pytest.mark.parametrize("asked", [None, "component", "job", "data"])
def test_what_is_not_served_is_told_as_what_it_is_whatever_was_asked_for(asked: str | None) -> None:
    flow = "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json\nnodes: []\noutputs: {}\n"
    error = refused(flow, kind=asked)
    assert isinstance(error, errors.NotSupported) and "prompt flows" in error.what


@pytest.mark.parametrize(
    ("text", "what", "cure"),
    [
        ("channels: [a]\ndependencies: [python=3.11]\n", "a conda file", "conda_file"),
        ("paths: [{file: x.csv}]\ntransformations: [read_delimited]\n", "an MLTable file", "type: mltable"),
        ("flavors: {python_function: {}}\n", "an MLmodel file", "mlflow_model"),
        ("services: {web: {image: x}}\n", "of another tool", "$schema"),
    ],
)
def test_parts_of_assets_and_other_tools_files_are_told_as_what_they_are(text: str, what: str, cure: str) -> None:
    error = refused(text)
    assert what in error.what and cure in error.cure


@pytest.mark.parametrize("name", ["<ENDPOINT_NAME>", "< your name >", "'{{NAME}}'"])
def test_a_placeholder_is_told_as_one(name: str) -> None:
    assert "has not been filled in" in refused(f"name: {name}\nauth_mode: key\n").what


def test_every_kind_has_a_file_in_this_test() -> None:
    assert set(FILES) == set(detection.MODELS)


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("host", HOSTS)
def test_the_kind_is_found_by_its_schema_on_any_host(kind: str, host: str) -> None:
    assert parse(f"$schema: {host.format(SCHEMAS[kind])}\n{FILES[kind]}").kind == kind


@pytest.mark.parametrize("kind", detection.OWN)
def test_own_kinds_are_found_by_their_schema(kind: str) -> None:
    assert parse(f"$schema: doubleloop/{kind}\n{FILES[kind]}").kind == kind


@pytest.mark.parametrize("kind", FILES)
def test_the_kind_is_found_by_shape_when_the_schema_is_missing(kind: str) -> None:
    assert parse(FILES[kind]).kind == kind


@pytest.mark.parametrize("kind", FILES)
def test_the_caller_may_say_what_it_expects(kind: str) -> None:
    family = "job" if kind.endswith("_job") else "component" if kind.endswith("_component") else kind.replace("_", "-")
    assert parse(FILES[kind], kind=family).kind == kind


@pytest.mark.parametrize("kind", FILES)
def test_a_document_survives_the_wire(kind: str) -> None:
    document = parse(FILES[kind])
    wire = json.loads(json.dumps(document.to_wire()))
    back = documents.from_wire(wire)
    assert back.model == document.model
    assert back.to_wire() == wire
    assert back.where("name") == document.where("name")


def test_the_type_decides_between_jobs_even_under_another_schema() -> None:
    text = f"$schema: {HOSTS[0].format('commandJob')}\n{FILES['pipeline_job']}"
    assert parse(text).kind == "pipeline_job"


def test_a_file_of_no_known_shape_asks_for_a_schema() -> None:
    error = refused("foo: 1\n")
    assert isinstance(error, errors.InvalidInput) and "$schema" in error.cure


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("type: automl\ntask: image_classification\n", "AutoML on images"),
        ("$schema: http://azureml/sdk-2-0/Connection.json\nname: s\n", "connections"),
        ("name: d\ntype: mltable\nsource: {type: database}\npath: azureml://datastores/x\n", "data imports"),
        (f"$schema: {HOSTS[0].format('kubernetesOnlineDeployment')}\nname: k\n", "Kubernetes"),
        (f"{FILES['online_deployment']}type: kubernetes\n", "Kubernetes"),
        ("$schema: doubleloop/policy\nname: l\n", "policy"),
        ("type: pipeline\njobs: {a: {type: Data_Transfer, task: {}}}\n", "step of type 'data_transfer'"),
        ("type: pipeline\njobs: {a: {type: automl, task: text_ner}}\n", "AutoML on images and texts"),
        ("name: s\ntrigger: {type: cron, expression: '0 3 * * *'}\nimport_data: x.yml\n", "'import_data'"),
    ],
)
def test_what_is_known_and_not_served_is_refused_with_an_alternative(text: str, says: str) -> None:
    error = refused(text)
    assert isinstance(error, errors.NotSupported)
    assert says in error.what and error.cure and error.where


@pytest.mark.parametrize(
    ("text", "line", "path", "says", "cure"),
    [
        ("command: x\nenvironment: azureml:e:1\nenviroment_variables: {A: b}\n", 3, "enviroment_variables",
         "unknown field 'enviroment_variables'", "did you mean 'environment_variables'?"),
        ("command: x\nenvironment: azureml:e:1\nlimits:\n  timout: 5\n", 4, "limits.timout", "unknown", "timeout"),
        ("command: x\nenvironment:\n  image: python\n  conda_fil: x.yml\n", 4, "environment.conda_fil",
         "unknown field", "did you mean 'conda_file'?"),
        ("command: x\n", 1, "environment", "'environment' is missing", "environment"),
        ("command: [a]\nenvironment: azureml:e:1\n", 1, "command", "must be a text, not a list", ""),
        ("command: x\nenvironment: azureml:e:1\nlimits: {timeout: soon}\n", 3, "limits.timeout",
         "must be a whole number, not 'soon'", ""),
        ("command: x\nenvironment: azureml:e:1\ninputs:\n  a:\n    type: uri_flie\n", 5, "inputs.a.type",
         "not 'uri_flie'", "did you mean 'uri_file'?"),
        ("command: x\nenvironment: azureml:e:1\ninputs: [a]\n", 3, "inputs", "must be a mapping", ""),
        ("command: x\nenvironment: azureml:e:1\nenvironment_variables: {1A: x}\n", 3, "environment_variables",
         "'1A' cannot be the name", ""),
        ("type: comand\ncommand: x\nenvironment: azureml:e:1\n", 1, "type", "'comand' is not a type", "command"),
        ("type: pipeline\njobs:\n  a:\n    command: x\n    environment: azureml:e:1\n    outptus: {o: }\n", 6,
         "jobs.a.outptus", "unknown field", "did you mean 'outputs'?"),
        ("type: pipeline\njobs: {}\n", 2, "jobs", "no steps", ""),
        ("name: 'a b'\ntype: uri_file\npath: https://x\n", 1, "name", "cannot be a name", ""),
        ("name: d\ntype: uri_file\npath: 'azureml:x:1:2'\n", 3, "path", "not a reference", "azureml:name:version"),
        ("name: blue\nendpoint_name: e\ninstance_count: true\n", 3, "instance_count", "must be a number", ""),
        ("name: blue\nendpoint_name: e\ninstance_count: 0\n", 3, "instance_count", "greater than or equal to 1", ""),
        (f"{SCALED}  min_instances: 3\n  max_instances: 2\n", 5, "scale_settings.min_instances",
         "min_instances (3) is above max_instances (2)", "write 'max_instances: 3' or more"),
        (f"{SCALED}  min_instances: 3\n", 5, "scale_settings.min_instances",
         "above max_instances (1, which is 1 when it is left out)", "write 'max_instances: 3' or more"),
        (f"{SCALED}  max_instances: 2\n  target_utilization_percentage: 0\n", 6,
         "scale_settings.target_utilization_percentage", "greater than or equal to 1, not 0", ""),
        (f"{SCALED}  target_utilization_percentage: 101\n", 5, "scale_settings.target_utilization_percentage",
         "less than or equal to 100, not 101", ""),
        (f"{SCALED}  polling_interval: 5 seconds\n", 5, "scale_settings.polling_interval",
         "'5 seconds' is not a duration; write ISO 8601", ""),
        (f"{SCALED}  polling_interval: PT0.5S\n", 5, "scale_settings.polling_interval", "shorter than a second", ""),
        (f"{SCALED}  polling_interval: 0\n", 5, "scale_settings.polling_interval", "shorter than a second", ""),
        (SCALED.replace("target_utilization", "target_utilisation"), 4, "scale_settings.type",
         "must be one of default, target_utilization", "did you mean 'target_utilization'?"),
        (SCALED.replace("target_utilization", "default") + "  max_instances: 2\n", 5, "scale_settings.max_instances",
         "'max_instances' says nothing", "write 'type: target_utilization'"),
        ("name: e\nauth_mode: key\nslo: {window: P28D}\n", 3, "slo", "'slo' names no objective", "{target: 99.9}"),
        ("name: e\nauth_mode: key\nslo:\n  availability: {target: 100}\n", 4, "slo.availability.target",
         "less than 100, not 100", ""),
        ("name: e\nauth_mode: key\nslo:\n  latency: {target: 99}\n", 4, "slo.latency.threshold_ms",
         "'threshold_ms' is missing in 'slo.latency'", "add 'threshold_ms: ...'"),
        ("name: e\nauth_mode: key\nslo:\n  availability: {target: 99.9}\n  window: a month\n", 5, "slo.window",
         "'a month' is not a duration", ""),
        ("name: e\nauth_mode: key\nslo:\n  availability: {target: 99.9}\n  window: PT5M\n", 5, "slo.window",
         "not between an hour and a year", ""),
        ("name: e\nauth_mode: password\n", 2, "auth_mode", "must be one of key, aml_token, aad_token", ""),
        ("name: s\ntrigger: {type: cron, expression: '0 3 * *'}\ncreate_monitor: {}\n", 2, "trigger.expression",
         "not a cron expression", ""),
        ("name: s\ntrigger: {type: crom, expression: '0 3 * * *'}\ncreate_monitor: {}\n", 2, "trigger.type",
         "must be one of cron, recurrence", "did you mean 'cron'?"),
        ("name: s\ntrigger: {expression: '0 3 * * *'}\ncreate_monitor: {}\n", 2, "trigger",
         "'type' is missing in 'trigger'", "cron, recurrence"),
        ("name: s\ntrigger: {type: cron, expression: '61 3 * * *'}\ncreate_monitor: {}\n", 2, "trigger.expression",
         "not a cron expression", ""),
        ("name: s\ntrigger: {type: cron, expression: '0 3 * * *', time_zone: Mars}\ncreate_monitor: {}\n", 2,
         "trigger.time_zone", "'Mars' is not a time zone", ""),
        ("name: s\ntrigger: {type: cron, expression: '0 3 * * *'}\n", 1, "", "starts one thing", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_cure(text: str, line: int, path: str, says: str, cure: str) -> None:
    error = refused(text)
    assert isinstance(error, errors.InvalidInput)
    assert error.where is not None
    assert (error.where.file, error.where.line, error.where.path) == ("f.yml", line, path)
    assert says in error.what
    assert cure in error.cure


def test_a_polling_interval_is_seconds_or_a_duration() -> None:
    for written in ("1", "30", "PT5S", "2m"):
        document = documents.from_wire(parse(f"{SCALED}  polling_interval: {written}\n").to_wire())
        assert document.model.scale_settings.polling_interval == written


def test_several_problems_are_listed_in_order_of_line() -> None:
    error = refused("command: x\nenvironment: azureml:e:1\nfoo: 1\nlimits: {timeout: x}\n", kind="job")
    assert error.where and error.where.line == 3
    error = refused("command: 1\nlimits: {timeout: x}\ninputs: 3\nenvironment: azureml:e:1\n")
    assert error.where and error.where.line == 2
    assert "also f.yml:3 (inputs)" in error.cure
    assert len(error.details) == 2


def test_a_field_without_a_value_counts_as_left_out() -> None:
    job = parse("command: x\nenvironment: azureml:e:1\ntags:\ninputs:\nlimits:\noutputs:\n  model:\n").model
    assert (job.tags, job.inputs, job.limits, job.outputs) == ({}, {}, None, {"model": None})


def test_numbers_are_fine_where_a_text_is_wanted_and_keep_their_digits() -> None:
    text = "name: e\nversion: 1.10\nimage: python\ntags: {a: 1, b: true}\n"
    document = documents.from_wire(json.loads(json.dumps(parse(text).to_wire())))
    assert document.model.version == "1.10"
    assert document.model.tags == {"a": "1", "b": "True"}


def test_numbers_in_quotes_are_fine_where_a_number_is_wanted() -> None:
    assert parse("name: blue\nendpoint_name: e\ninstance_count: '2'\n").model.instance_count == 2


def test_quoted_booleans_stay_texts_and_plain_ones_do_not() -> None:
    text = "command: x\nenvironment: azureml:e:1\ninputs: {a: 'false', b: false, c: 'yes', d: yes, e: 1, f: 0.5}\n"
    assert parse(text).model.inputs == {"a": "false", "b": False, "c": "yes", "d": True, "e": 1, "f": 0.5}


def test_enumerations_are_read_in_any_case() -> None:
    assert parse("name: d\ntype: URI_File\npath: https://x\n").model.type == "uri_file"
    assert parse("name: e\nauth_mode: Key\n").model.auth_mode == "key"


@pytest.mark.parametrize(
    "text",
    [
        "type: pipeline\nsettings: {default_datestore: azureml:s}\njobs: {a: {command: x, environment: azureml:e:1}}\n",
        "name: c\nversion: 1\ncommand: x\nenvironment: azureml:e:1\nsomething: 1\n",
        "type: pipeline\njobs: {a: {component: azureml:c:1, something: 1}}\n",
        "command: x\nenvironment: azureml:e:1\ninputs: {a: {value: 1, something: 2}}\n",
        "name: c\nversion: 1\ncommand: x\nenvironment: azureml:e:1\nresources: {something: 1}\n",
    ],
)
def test_where_azure_lets_unknown_fields_pass_they_are_noted(text: str) -> None:
    notes = parse(text).notices
    assert any("is not a field that is known here" in note.why for note in notes)


def test_a_note_on_an_ignored_field_names_the_nearest_known_one() -> None:
    text = (
        "type: pipeline\nsettings:\n  default_datestore: azureml:s\njobs: {a: {command: x, environment: azureml:e:1}}\n"
    )
    (note,) = parse(text).notices
    assert note.where.line == 3 and "did you mean 'default_datastore'?" in note.why


def test_fields_of_azure_are_noted_once_each_with_their_line() -> None:
    document = parse(
        "type: pipeline\njobs:\n"
        "  a: {command: x, environment: azureml:e:1, resources: {instance_type: X}, identity: {type: managed}}\n"
        "  b: {command: x, environment: azureml:e:1, resources: {instance_type: X}}\n"
    )
    assert [(note.field, note.where.line) for note in document.notices] == [("identity", 3), ("instance_type", 3)]


def test_set_writes_any_path() -> None:
    sets = [
        ("jobs.a.limits.timeout", "60"),
        ("inputs.x", "3"),
        ("display_name", "azureml run"),
        ("tags", "{a: b}"),
        ("jobs.a.environment_variables.DEBUG", "true"),
    ]
    job = parse(FILES["pipeline_job"], sets=sets).model
    assert job.jobs["a"].limits.timeout == 60
    assert (job.inputs, job.display_name, job.tags) == ({"x": 3}, "azureml run", {"a": "b"})
    assert job.jobs["a"].environment_variables == {"DEBUG": "True"}


def test_set_reaches_into_lists() -> None:
    setup = parse(
        FILES["setup"], sets=[("workspaces[0].kind", "production"), ("workspaces.1", "{name: b, kind: production}")]
    )
    assert [workspace.kind for workspace in setup.model.workspaces] == ["production", "production"]


def test_what_is_wrong_with_a_set_is_said_of_the_set() -> None:
    error = refused(FILES["command_job"], sets=[("limits.timout", "5")])
    assert error.where and error.where.file == "--set limits.timout=5"
    error = refused(FILES["command_job"], sets=[("command.x", "5")])
    assert error.where and "--set command.x=5" in error.where.file


def test_secrets_of_a_datastore_do_not_travel() -> None:
    document = parse(FILES["datastore"] + "credentials: {account_key: SECRET}\n")
    assert "SECRET" not in json.dumps(document.to_wire())
    assert any(note.field == "credentials" for note in document.notices)


@pytest.mark.parametrize("wire", [{}, {"kind": "data"}, {"doubleloop": 99, "kind": "data", "spec": {}, "source": {}}])
def test_a_wire_form_that_is_none_is_refused(wire: dict) -> None:
    with pytest.raises(errors.InvalidInput):
        documents.from_wire(wire)


def test_the_server_checks_again_and_names_the_line_of_the_file() -> None:
    wire = parse("command: x\nenvironment: azureml:e:1\nlimits: {timeout: 5}\n").to_wire()
    wire["spec"]["limits"]["timeout"] = -1
    with pytest.raises(errors.InvalidInput) as caught:
        documents.from_wire(wire)
    assert caught.value.where and (caught.value.where.file, caught.value.where.line) == ("f.yml", 3)


def test_values_from_no_file_are_checked_too() -> None:
    assert documents.from_model("data", {"name": "d", "path": "https://x"}).model.type == "uri_folder"
    with pytest.raises(errors.InvalidInput):
        documents.from_model("data", {"name": "d", "path": "https://x", "typ": "uri_file"})
