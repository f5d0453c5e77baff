"""Every YAML file of the examples: it reads, what it points at exists, and what belongs together agrees."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from doubleloop.base import errors
from doubleloop.demo import data
from doubleloop.specs import documents

EXAMPLES = Path(__file__).parents[2] / "examples"
BIKES = EXAMPLES / "bikes"
PROJECTS = [BIKES, EXAMPLES / "open-gate"]
FILES = sorted(file for project in PROJECTS for file in project.rglob("*.yml") if "files" not in file.parts)
PATH_FIELDS = {"code", "conda_file", "component", "job", "deployment", "endpoint", "contract", "monitor"}


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file)


def pointers(node: Any, key: str = "") -> list[str]:
    """Every text under a field that holds a path."""
    if isinstance(node, dict):
        return [found for name, value in node.items() for found in pointers(value, name)]
    if isinstance(node, list):
        return [found for value in node for found in pointers(value, key)]
    is_path = isinstance(node, str) and (key in PATH_FIELDS or (key == "path" and node.startswith(".")))
    return [node] if is_path and not node.startswith(("azureml:", "${{")) else []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_a_file_reads_and_what_it_points_at_is_there(file: Path) -> None:
    for path in pointers(load(file)):
        target = (file.parent / path).resolve()
        made_by_fetch = "files" in target.parts
        names_a_monitor = file.name == "rule.yml"
        assert made_by_fetch or names_a_monitor or target.exists(), f"{file}: {path}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_a_file_loads_as_what_it_is_without_a_remark_about_an_unknown_field(file: Path) -> None:
    if "environment" in file.parts:
        return  # a conda file is not a document
    try:
        documents.load(file)
    except errors.InvalidInput as error:
        # Data is fetched, not shipped: without it only that may be amiss.
        assert "does not exist" in error.what and file.parent.name == "data"


@pytest.mark.parametrize("name", ["prep", "train", "evaluate", "register"])
def test_a_component_passes_exactly_the_arguments_its_script_takes(name: str) -> None:
    component = load(BIKES / "components" / f"{name}.yml")
    tree = ast.parse((BIKES / "src" / f"{name}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    taken = {ast.literal_eval(call.args[0]) for call in calls if getattr(call.func, "attr", "") == "add_argument"}
    given = set(re.findall(r"(--\w+)", component["command"]))
    assert given <= taken
    declared = {f"--{each}" for part in ("inputs", "outputs") for each in component[part]}
    assert given == declared


def test_every_binding_of_the_pipeline_leads_somewhere() -> None:
    pipeline = load(BIKES / "train" / "pipeline.yml")
    for name, node in pipeline["jobs"].items():
        component = load((BIKES / "train" / node["component"]).resolve())
        assert set(node["inputs"]) <= set(component["inputs"])
        for value in node["inputs"].values():
            step = re.fullmatch(r"\$\{\{parent\.jobs\.(\w+)\.outputs\.(\w+)\}\}", value)
            if step:
                source = load((BIKES / "train" / pipeline["jobs"][step[1]]["component"]).resolve())
                assert step[2] in source["outputs"], f"{name}: {value}"
            else:
                assert value.removeprefix("${{parent.inputs.").removesuffix("}}") in pipeline["inputs"]


def test_the_release_has_the_six_checks_an_approval_and_a_canary() -> None:
    staging, production = load(BIKES / "release.yml")["stages"]
    assert [check["type"] for check in staging["checks"]] == [
        "data_quality", "unit_tests", "model_quality", "responsible_ai", "endpoint_performance", "scan",
    ]  # fmt: skip
    assert production["approval"]["personas"] == ["project_lead"]
    assert production["rollout"]["steps"] == [10, 50, 100]
    setup = load(BIKES / "setup.yml")
    kinds = {workspace["name"]: workspace["kind"] for workspace in setup["workspaces"]}
    assert kinds == {"bikes-dev": "preproduction", "bikes-staging": "preproduction", "bikes-prod": "production"}
    personas = {member: group["persona"] for group in setup["groups"] for member in group["members"]}
    assert personas == {"ada": "data_scientist", "grace": "project_lead"}


def test_an_alert_of_the_performance_signal_is_what_trains_again() -> None:
    monitor, rule = load(BIKES / "monitor.yml"), load(BIKES / "rule.yml")
    signals = monitor["create_monitor"]["monitoring_signals"]
    assert rule["where"] == {"monitor": monitor["name"], "signal": "performance"}
    assert signals[rule["where"]["signal"]]["type"] == "model_performance"
    assert {signal["type"] for signal in signals.values()} == {
        "model_performance", "data_drift", "prediction_drift", "data_quality",
    }  # fmt: skip


def test_the_contract_names_every_column_that_is_published(tmp_path: Path) -> None:
    contract = load(BIKES / "contract.yml")
    source = tmp_path / "rides.csv"
    source.write_text('"date","ts","count","tmin","tmax","pn"\n2012-12-31,2012-12-31 00:00:00,5,1.0,2.0,0\n')
    assert list(contract["columns"]) == data.read(source).columns


def test_the_sample_request_has_the_models_features_in_order() -> None:
    request = json.loads((BIKES / "sample-request.json").read_text())["input_data"]
    assert request["columns"] == list(data.FEATURES)
    assert {len(row) for row in request["data"]} == {len(data.FEATURES)}


def test_both_examples_share_one_environment() -> None:
    named = set()
    for file in FILES:
        found = re.findall(r"conda_file: (\S+\.yml)", file.read_text())
        named |= {(file.parent / path).resolve() for path in found}
    assert named == {BIKES / "environment" / "train-conda.yml"}


def test_readme_commands_name_files_that_exist() -> None:
    for project in PROJECTS:
        named = re.findall(r"-f (\S+\.yml)", (project / "README.md").read_text())
        assert named
        assert [path for path in named if not (project / path).exists()] == []
