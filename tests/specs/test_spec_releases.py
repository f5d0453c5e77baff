"""A release file is read with everything it names, and travels as one self-contained document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.specs import documents

RELEASE = """$schema: doubleloop/release
name: taxi-fare
model: azureml:taxi-model
scenario: classical
stages:
  - workspace: taxi-staging
    retrain:
      job: ../train/pipeline.yml
      inputs: {input: azureml:taxi-data@production}
    deployment: ../deploy/online-deployment.yml
    checks:
      - {type: data_quality, data: azureml:taxi-data@production, contract: contract.yml}
      - {type: unit_tests, command: pytest -q ../../tests}
      - {type: model_quality, data: azureml:h:1, target: cost, metric: rmse, at_most: 4.0, champion: {tolerance: 0.02}}
      - {type: responsible_ai, data: azureml:taxi-holdout:1, sensitive: [vendor], metric: mae_ratio, at_most: 1.25}
      - {type: endpoint_performance, rate: 50, duration: 10s, p99_ms: 250, error_rate: 0}
      - {type: scan}
  - workspace: taxi-prod
    approval: {personas: [project_lead], count: 1, not_author: true, expires: 7d}
    deployment: ../deploy/online-deployment.yml
    rollout: {steps: [10, 50, 100], bake: 60s, abort: {error_rate: 0.01, p99_ms: 500}}
    monitor: monitor.yml
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "taxi"
    for folder in ("mlops/release", "mlops/train", "mlops/deploy", "tests", "src"):
        (root / folder).mkdir(parents=True)
    files = {
        "mlops/release/release.yml": RELEASE,
        "mlops/release/contract.yml": "columns:\n  cost: {type: number, at_least: 0, nullable: false}\n",
        "mlops/release/monitor.yml": (
            "name: watch\ntrigger: {type: recurrence, frequency: day, interval: 1}\n"
            "create_monitor: {monitoring_target: {endpoint_deployment_id: 'azureml:taxi:blue'}}\n"
        ),
        "mlops/train/pipeline.yml": (
            "type: pipeline\ninputs:\n  input: {type: uri_file, path: 'azureml:taxi-data@latest'}\njobs:\n  train:\n"
            "    command: python t.py ${{inputs.raw}}\n    code: ../../src\n    environment: azureml:e@latest\n"
            "    inputs: {raw: '${{parent.inputs.input}}'}\n"
        ),
        "mlops/deploy/online-deployment.yml": (
            "name: blue\nendpoint_name: taxi\nmodel: azureml:taxi-model@latest\ninstance_type: Standard_DS3_v2\n"
        ),
    }
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def change(project: Path, before: str, after: str, name: str = "mlops/release/release.yml") -> Path:
    path = project / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return project / "mlops/release/release.yml"


def refused(path: Path) -> errors.DoubleloopError:
    with pytest.raises(errors.DoubleloopError) as caught:
        documents.load(path)
    return caught.value


def test_everything_a_release_names_is_part_of_it(project: Path) -> None:
    release = documents.load(project / "mlops/release/release.yml").model
    staging, production = release.stages
    assert (release.trigger, release.scenario) == ("on_register", "classical")
    assert list(staging.retrain.job.jobs) == ["train"]
    assert staging.deployment.endpoint_name == "taxi"
    assert [check.type for check in staging.checks] == [
        "data_quality", "unit_tests", "model_quality", "responsible_ai", "endpoint_performance", "scan",
    ]  # fmt: skip
    assert staging.checks[0].contract.columns["cost"].at_least == 0
    assert (staging.checks[2].at_most, staging.checks[2].champion.tolerance) == (4.0, 0.02)
    assert (production.approval.personas, production.approval.expires) == (["project_lead"], "7d")
    assert (production.rollout.steps, production.rollout.abort.p99_ms) == ([10, 50, 100], 500)
    assert production.monitor.create_monitor.monitoring_target.endpoint_deployment_id == "azureml:taxi:blue"


def test_a_release_travels_as_one_document(project: Path) -> None:
    document = documents.load(project / "mlops/release/release.yml")
    tree = "tree:sha256:" + "d" * 64
    sent = documents.with_paths(document, {path.pointer: tree for path in documents.local_paths(document)})
    back = documents.from_wire(json.loads(json.dumps(sent.to_wire())))
    assert back.model == sent.model
    assert str(project) not in json.dumps(back.spec())


def test_the_local_paths_of_a_release_are_those_of_all_its_parts(project: Path) -> None:
    document = documents.load(project / "mlops/release/release.yml")
    assert {path.pointer: path.path for path in documents.local_paths(document)} == {
        "stages.0.retrain.job.jobs.train.code": project / "src",
        "stages.0.checks.1.code": project,
    }


def test_tests_without_code_run_in_the_smallest_folder_that_holds_what_they_name(project: Path) -> None:
    check = documents.load(project / "mlops/release/release.yml").model.stages[0].checks[1]
    assert (check.code, check.directory) == (str(project), "mlops/release")
    path = change(project, "pytest -q ../../tests}", "pytest -q, code: ../../tests}")
    check = documents.load(path).model.stages[0].checks[1]
    assert (check.code, check.directory) == (str(project / "tests"), ".")


def test_parts_can_be_taken_out_as_documents_of_their_own(project: Path) -> None:
    document = documents.load(project / "mlops/release/release.yml")
    job = documents.nested(document, "stages.0.retrain.job")
    assert (job.kind, Path(job.where("jobs.train.code").file).name, job.where("jobs.train.code").line) == (
        "pipeline_job", "pipeline.yml", 7,
    )  # fmt: skip
    deployment = documents.nested(document, "stages.1.deployment")
    assert deployment.kind == "online_deployment"
    assert [note.field for note in deployment.notices] == ["instance_type"]
    assert documents.nested(document, "stages[1].monitor").kind == "schedule"
    with pytest.raises(errors.NotFound):
        documents.nested(document, "stages.1.retrain.job")


def test_retraining_inputs_replace_those_of_the_job_and_keep_their_type(project: Path) -> None:
    document = documents.load(project / "mlops/release/release.yml")
    job = documents.nested(document, "stages.0.retrain.job")
    changed = documents.with_changes(job, {"inputs": document.spec()["stages"][0]["retrain"]["inputs"]})
    assert changed.spec()["inputs"]["input"] == {"type": "uri_file", "path": "azureml:taxi-data@production"}


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("model: azureml:taxi-model\n", "model: azureml:taxi-model:3\n", 3, "of every new version of a model"),
        ("model: azureml:taxi-model\n", "model: ../model\n", 3, "not the name of a model"),
        ("scenario: classical", "scenario: classic", 4, "must be one of classical, vision, language"),
        ("inputs: {input: azureml", "inputs: {inptu: azureml", 9, "no input 'inptu'"),
        ("../train/pipeline.yml", "../train/missing.yml", 8, "does not exist"),
        ("{type: scan}", "{type: scna}", 17, "not 'scna'"),
        ("{type: scan}", "{name: x}", 17, "'type' is missing"),
        ("at_most: 4.0, champion: {tolerance: 0.02}", "features: [a]", 14, "needs 'at_most', 'at_least' or 'champion'"),
        ("metric: mae_ratio, at_most: 1.25", "metric: mae_ratio", 15, "needs 'at_most' or 'at_least'"),
        ("p99_ms: 250, error_rate: 0}", "data: azureml:x:1}", 16, "needs 'p50_ms'"),
        ("duration: 10s", "duration: soon", 16, "not a duration"),
        ("sensitive: [vendor]", "sensitive: []", 15, "sensitive"),
        ("personas: [project_lead]", "personas: [boss]", 19, "not 'boss'"),
        ("expires: 7d", "expires: 0d", 19, "not a duration above zero"),
        ("steps: [10, 50, 100]", "steps: [50, 10, 100]", 21, "must rise and end with 100"),
        ("steps: [10, 50, 100]", "steps: [10, 50]", 21, "must rise and end with 100"),
        ("rollout: {", "rolout: {", 21, "unknown field 'rolout'"),
        ("workspace: taxi-prod", "workspace: taxi-staging", 18, "two stages are in the workspace"),
        ("contract: contract.yml", "contract: {columns: {a: {typ: x}}}", 12, "unknown field 'typ'"),
        ("    deployment: ../deploy/online-deployment.yml\n    rollout", "    rollout", 18, "needs a 'deployment'"),
        ("data: azureml:taxi-data@production,", "data: nowhere.csv,", 12, "does not exist"),
    ],
)
def test_what_is_wrong_in_a_release_is_said_with_its_line(
    project: Path, before: str, after: str, line: int, says: str
) -> None:
    error = refused(change(project, before, after))
    assert says in error.what
    assert error.where and error.where.line == line
    assert error.where.file.endswith("release.yml")


def test_what_is_wrong_in_a_part_is_said_with_the_line_of_its_file(project: Path) -> None:
    error = refused(change(project, "endpoint_name: taxi", "endpoint_nam: taxi", "mlops/deploy/online-deployment.yml"))
    assert error.where and (Path(error.where.file).name, error.where.line) == ("online-deployment.yml", 2)
    assert error.where.path == "stages.0.deployment.endpoint_nam"


def test_a_fault_in_the_retraining_pipeline_is_found_with_the_release(project: Path) -> None:
    error = refused(change(project, "${{parent.inputs.input}}", "${{parent.inputs.inptu}}", "mlops/train/pipeline.yml"))
    assert error.where and (Path(error.where.file).name, error.where.line) == ("pipeline.yml", 9)


def test_a_monitor_must_be_a_monitor(project: Path) -> None:
    path = change(
        project,
        "create_monitor: {monitoring_target",
        "create_job: {job: 'azureml:x', tags",
        "mlops/release/monitor.yml",
    )
    assert "must be a schedule with 'create_monitor'" in refused(path).what


def test_a_contract_can_name_only_its_own_columns_as_unique(project: Path) -> None:
    path = change(project, "columns:", "unique: [[id]]\ncolumns:", "mlops/release/contract.yml")
    assert "'unique' names 'id'" in refused(path).what


def contract(text: str) -> documents.Document:
    return documents.parse(text, "contract.yml", Path(), kind="contract")


def test_a_contract_is_read_in_full() -> None:
    text = (
        "columns:\n  a: string\n  b: {type: date, at_least: 2024-01-01}\n  c: {type: number, at_most: 3, in: [1, 2]}\n"
        "rows: {at_least: 10}\nfreshness: {column: b, within: 2d}\nunique: [a, [b, c]]\nextra_columns: Refuse\n"
    )
    found = contract(text).model
    assert (found.columns["a"].type, found.columns["b"].at_least, found.columns["c"].in_) == (
        "string",
        "2024-01-01",
        [1, 2],
    )
    assert (found.rows.at_least, found.freshness.within, found.unique) == (10, "2d", [["a"], ["b", "c"]])
    assert found.extra_columns == "refuse"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns: {}\n", "the contract asks for nothing"),
        ("columns: {a: strin}\n", "not 'strin'"),
        ("columns: {a: {at_least: 2024-01-01}}\n", "'at_least' must be a number"),
        ("columns: {a: {type: date, at_most: 3}}\n", "'at_most' must be a date"),
        ("columns: {a: {matches: '['}}\n", "not a regular expression"),
        ("columns: {a: {null_share: 2}}\n", "less than or equal to 1"),
        ("rows: {at_least: -1}\n", "greater than or equal to 0"),
        ("freshness: {column: a, within: recently}\n", "not a duration"),
    ],
)
def test_what_is_wrong_in_a_contract_is_said(text: str, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        contract(text)
    assert says in caught.value.what
    assert caught.value.where and caught.value.where.line == 1
