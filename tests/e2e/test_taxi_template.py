"""Microsoft's MLOps v2 template for classical ML (taxi fares), its files unmodified, from `environment create` to an
answer of the endpoint, and through a release of our own. Runs when DOUBLELOOP_TAXI_TEMPLATE names a checkout."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import polars as pl
import pytest
from e2e_installation import Done, Installation

VARIABLE = "DOUBLELOOP_TAXI_TEMPLATE"
REPOSITORY = "https://github.com/Azure/mlops-project-template"
PROJECT = "classical/aml-cli-v2"
DEV, STAGING, PROD = "taxi-dev", "taxi-staging", "taxi-prod"
AUTHOR, APPROVER = "ada", "grace"
STEPS = ("prep_data", "train_model", "evaluate_model", "register_model")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETUP = """$schema: doubleloop/setup
name: taxi
workspaces:
{workspaces}
users: [{{name: ada}}, {{name: grace}}]
groups:
  - {{name: taxi-science, persona: data_scientist, members: [ada]}}
  - {{name: taxi-leads, persona: project_lead, members: [grace]}}
"""
WORKSPACE = """  - name: {name}
    kind: {kind}
    package_substitutions:
      - match: "git+https://github.com/microsoft/AzureML-Observability*"
        action: drop
        reason: sends data to Azure Data Explorer, and only when enable_monitoring is true
"""
# The columns in the order in which the template's scripts train on them: a model without a signature knows no names.
FEATURES = [
    "distance", "dropoff_latitude", "dropoff_longitude", "passengers", "pickup_latitude", "pickup_longitude",
    "pickup_weekday", "pickup_month", "pickup_monthday", "pickup_hour", "pickup_minute", "pickup_second",
    "dropoff_weekday", "dropoff_month", "dropoff_monthday", "dropoff_hour", "dropoff_minute", "dropoff_second",
    "store_forward", "vendor",
]  # fmt: skip
RELEASE = """$schema: doubleloop/release
name: taxi-fare
model: azureml:taxi-model
scenario: classical
stages:
  - workspace: taxi-staging
    retrain:
      job: {train}/pipeline.yml
      inputs:
        input: {{type: uri_file, path: "azureml:taxi-train:1"}}
    endpoint: {online}/online-endpoint.yml
    deployment: {online}/online-deployment.yml
    checks:
      - type: data_quality
        data: azureml:taxi-train:1
        contract:
          columns:
            cost: {{type: number, nullable: false, at_least: 0}}
            distance: {{type: number, nullable: false, at_least: 0}}
            passengers: {{type: integer, nullable: false, at_least: 0, at_most: 9}}
            vendor: {{type: integer, nullable: false, in: [1, 2]}}
          rows: {{at_least: 5000}}
      - type: model_quality
        data: azureml:taxi-holdout:1
        target: cost
        metric: rmse
        at_most: 4.0
        features: [{features}]
        champion: {{tolerance: 0.02}}
      - type: responsible_ai
        data: azureml:taxi-holdout:1
        target: cost
        sensitive: [vendor]
        metric: mae_ratio
        at_most: 1.25
      - type: endpoint_performance
        rate: 5
        duration: 10s
        p99_ms: 2000
        error_rate: 0
      - type: scan
  - workspace: taxi-prod
    approval: {{personas: [project_lead], count: 1, not_author: true, expires: 7d}}
    endpoint: {online}/online-endpoint.yml
    deployment: {online}/online-deployment.yml
    rollout: {{steps: [10, 100], bake: 2s, abort: {{error_rate: 0.01, p99_ms: 5000}}}}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The project's folder, copied from the checkout so that nothing can be written into that."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"{VARIABLE} names no checkout of {REPOSITORY} (see docs/taxi.md)")
    project = Path(named).expanduser() / PROJECT
    if not (project / "mlops/azureml/train/pipeline.yml").exists():
        pytest.skip(f"{project} is not there: {VARIABLE} must name a checkout of {REPOSITORY}")
    return Path(shutil.copytree(project, tmp_path / "template"))


def digests(folder: Path) -> dict[str, str]:
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    return {each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def split(template: Path, folder: Path) -> None:
    """A hold-out that no script of the template sees, and the rest to train on."""
    rows = pl.read_csv(template / "data" / "taxi-data.csv").with_row_index("number")
    held = pl.col("number") % 7 == 0
    folder.mkdir()
    rows.filter(~held).drop("number", "").write_csv(folder / "taxi-train.csv")
    rows.filter(held).select(*FEATURES, "cost").write_csv(folder / "taxi-holdout.csv")


def test_the_template_runs_unmodified_from_environment_to_production(
    template: Path, installation: Installation, tmp_path: Path
) -> None:
    doubleloop, before = installation, digests(template)
    train, online = template / "mlops/azureml/train", template / "mlops/azureml/deploy/online"
    set_up(doubleloop, tmp_path)

    # The template's own commands, `az ml …` without its prefix.
    began = time.monotonic()
    doubleloop("environment", "create", "-f", train / "train-env.yml", "--registry-name", "registry", user=AUTHOR)
    data = doubleloop("data", "create", "-f", train / "data.yml", workspace=DEV, user=AUTHOR).json
    assert (data["name"], data["version"], data["type"]) == ("taxi-data", "1", "uri_file")
    define(doubleloop, template, tmp_path)
    doubleloop.timed("environment, data, definition", began)

    began = time.monotonic()
    built = doubleloop("environment", "build", "taxi-train-env", workspace=DEV, user=AUTHOR, timeout=1500)
    assert "AzureML-Observability" in built.err
    doubleloop.timed("environment build", began)

    began = time.monotonic()
    job = doubleloop("job", "create", "-f", train / "pipeline.yml", "-n", "taxi-first", "--stream", workspace=DEV,
                     user=AUTHOR, timeout=1500)  # fmt: skip
    doubleloop.timed("training pipeline", began)
    assert "Deploy flag: 1" in job.out + job.err
    steps = doubleloop("job", "show", "-n", "taxi-first", workspace=DEV, user=AUTHOR).json["steps"]
    assert {each["name"]: each["status"] for each in steps} == dict.fromkeys(STEPS, "completed")
    model = doubleloop("model", "show", "-n", "taxi-model", "-v", "1", workspace=DEV, user=AUTHOR).json
    assert (model["created_by"], model["job"], model["signature"]) == (AUTHOR, "taxi-first", None)
    assert model["training_data"] == ["data:taxi-dev/taxi-data:1"]

    deploy_directly(doubleloop, template, online)
    release(doubleloop, template)
    assert digests(template) == before
    print(json.dumps(doubleloop.seconds, indent=2))


def set_up(doubleloop: Installation, folder: Path) -> None:
    kinds = {DEV: "preproduction", STAGING: "preproduction", PROD: "production"}
    places = "".join(WORKSPACE.format(name=name, kind=kind) for name, kind in kinds.items())
    (folder / "setup.yml").write_text(SETUP.format(workspaces=places.rstrip()))
    doubleloop("apply", "-f", folder / "setup.yml")
    doubleloop.log_in(AUTHOR, APPROVER)


def define(doubleloop: Installation, template: Path, folder: Path) -> None:
    """Data to train on and to judge by, and what every new version has to go through."""
    split(template, folder / "data")
    for name in ("taxi-train", "taxi-holdout"):
        doubleloop("data", "create", "-n", name, "-v", "1", "-t", "uri_file", "--path", folder / "data" / f"{name}.csv",
                   "--registry-name", "registry", user=AUTHOR)  # fmt: skip
    text = RELEASE.format(
        train=template / "mlops/azureml/train", online=template / "mlops/azureml/deploy/online",
        features=", ".join(FEATURES),
    )  # fmt: skip
    (folder / "release.yml").write_text(text)
    doubleloop("release", "create", "-f", folder / "release.yml", user=AUTHOR)


def deploy_directly(doubleloop: Installation, template: Path, online: Path) -> None:
    """As the template's own pipeline does, past every check; nobody can know what a model without a signature takes."""
    began = time.monotonic()
    doubleloop("online-endpoint", "create", "-f", online / "online-endpoint.yml", workspace=DEV, user=AUTHOR)
    made = doubleloop("online-deployment", "create", "-f", online / "online-deployment.yml", "--all-traffic",
                      workspace=DEV, user=AUTHOR).json  # fmt: skip
    doubleloop.timed("direct deployment", began)
    assert (made["status"], made["traffic"], made["signed"]) == ("ready", 100, False)
    assert "without a signature" in made["unchecked"]
    invoke = ("online-endpoint", "invoke", "-n", "taxi-fare-online", "--request-file")
    answers = doubleloop(*invoke, template / "data" / "taxi-request.json", workspace=DEV, user=AUTHOR).json
    assert len(answers) == 2
    assert all(3 < each < 60 for each in answers)


def release(doubleloop: Installation, template: Path) -> None:
    began = time.monotonic()
    id_ = doubleloop.wait_for_release("taxi-fare", "1", AUTHOR)
    waiting = doubleloop.follow_release(id_, AUTHOR, ("waiting",), seconds=900)
    doubleloop.timed("release: staging", began)
    outcomes = {each["check"].split(":")[1]: each["outcome"] for each in waiting["stages"][0]["checks"]}
    print(json.dumps(waiting["stages"][0]["checks"], indent=2))
    assert waiting["stages"][0]["candidate"] == waiting["model_version"] == "2"
    for check in ("data_quality", "model_quality", "responsible_ai", "endpoint_performance"):
        assert outcomes[check] == "passed"

    own = doubleloop("release", "approve", id_, "--yes", user=AUTHOR, code=4)
    assert AUTHOR in own.err
    began = time.monotonic()
    doubleloop("release", "approve", id_, "-c", "fares look right", "--yes", user=APPROVER)
    done = doubleloop.follow_release(id_, AUTHOR, ("completed",))
    doubleloop.timed("release: production", began)
    assert done["stages"][1]["approval"]["given"][0]["user"] == APPROVER

    served = doubleloop("online-deployment", "list", "-e", "taxi-fare-online", "-o", "json", workspace=PROD).json
    assert [(each["traffic"], each["signed"], each["model"]) for each in served] == [
        (100, True, "model:registry/taxi-model:2")
    ]
    invoke = ("online-endpoint", "invoke", "-n", "taxi-fare-online", "--request-file")
    for file in ("taxi-request.json", "test-request.json"):
        answers = doubleloop(*invoke, template / "data" / file, workspace=PROD)
        assert len(answers.json) == 2
    columns_in_disorder(doubleloop, template)

    request_id = re.search(r"Request (\S+) was answered", answers.err)
    assert request_id
    told = doubleloop("trace", request_id[1], "-o", "json", user=APPROVER).json
    assert told["deployment"]["workspace"] == PROD
    assert (told["model"]["version"], told["model"]["job"]) == ("2", told["job"]["id"])
    assert {each["name"] for each in told["job"]["steps"]} == set(STEPS)
    assert all(each["code"].startswith("tree:sha256:") for each in told["job"]["steps"])
    assert [each["id"] for each in told["data"]] == ["data:registry/taxi-train:1"]
    assert "mlflow==2.9.2" in told["environments"][0]["packages"]
    assert all(each["intact"] and each["hash"] for each in told["checks"])
    assert told["approvals"][0]["decisions"][0]["actor"] == APPROVER
    assert doubleloop("audit", "verify", "-o", "json", user=APPROVER).json["whole"]


def columns_in_disorder(doubleloop: Installation, template: Path) -> None:
    """Under names the order does not matter; a name or a type that is wrong is refused and named."""
    invoke = ("online-endpoint", "invoke", "-n", "taxi-fare-online", "--request-file", "-")
    request = json.loads((template / "data" / "test-request.json").read_text())["input_data"]

    def ask(columns: list[str], data: list[list[object]], code: int = 0) -> Done:
        body = {"input_data": {"columns": columns, "index": [0, 1], "data": data}}
        return doubleloop(*invoke, workspace=PROD, stdin=json.dumps(body), code=code)

    right = ask(request["columns"], request["data"]).json
    turned = ask(request["columns"][::-1], [row[::-1] for row in request["data"]]).json
    assert turned == right
    misspelt = ["distanse" if each == "distance" else each for each in request["columns"]]
    assert "distance" in ask(misspelt, request["data"], code=2).err
    texts = [["far", *row[1:]] for row in request["data"]]
    assert "distance" in ask(request["columns"], texts, code=2).err
