"""Registered components over HTTP, and jobs that use them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api_server import Prepared, Served, wire

BASE = "/api/v1/workspaces/dev"
ADD = """
$schema: x/commandComponent.schema.json
name: add
version: {version}
type: command
display_name: Adds
command: expr ${{{{inputs.a}}}} + ${{{{inputs.b}}}} {more}
environment: {{image: python}}
inputs:
  a: {{type: integer}}
  b: {{type: integer, default: 1}}
"""
TWICE = """
$schema: x/pipelineJob.schema.json
type: pipeline
jobs:
  one: {component: azureml:add:1, inputs: {a: 1}}
  two: {type: command, component: azureml:add@latest, inputs: {a: 2, b: 3}}
"""


def create(served: Served, version: str = "1", more: str = "", **body: Any) -> Any:
    document = wire(ADD.format(version=version, more=more))
    return served.as_("ada").post(f"{BASE}/components", json={"document": document, **body})


def submit(served: Served, text: str, route: str = "jobs") -> Any:
    return served.as_("ada").post(f"{BASE}/{route}", json={"document": wire(text)})


def test_a_component_is_created_listed_and_shown_as_its_file_says(served: Served, prepared: Prepared) -> None:
    made = create(served, label="stable").json()
    assert (made["name"], made["version"], made["type"], made["labels"]) == ("add", "1", "command", ["stable"])
    assert made["inputs"]["b"] == {"type": "integer", "default": 1}
    assert made["display_name"] == "Adds" and made["command"].startswith("expr ")
    create(served, "2", "+ 1")
    ada = served.as_("ada")
    assert [each["version"] for each in ada.get(f"{BASE}/components/add/versions").json()["items"]] == ["2", "1"]
    listed = {each["name"]: each["version"] for each in ada.get(f"{BASE}/components").json()["items"]}
    assert listed["add"] == "2"
    for wanted, version in (("@latest", "2"), ("@stable", "1"), ("1", "1")):
        assert ada.get(f"{BASE}/components/add/versions/{wanted}").json()["version"] == version


def test_a_version_never_changes(served: Served, prepared: Prepared) -> None:
    assert create(served).status_code == 200
    assert create(served).json()["version"] == "1"
    changed = create(served, more="+ 5")
    assert changed.status_code == 409 and "never changes" in changed.text


def test_an_archived_version_is_left_out_and_comes_back(served: Served, prepared: Prepared) -> None:
    create(served)
    ada = served.as_("ada")
    assert ada.post(f"{BASE}/components/add/versions/1/archive").json()["archived"] is True
    assert "add" not in [each["name"] for each in ada.get(f"{BASE}/components").json()["items"]]
    assert "add" in [each["name"] for each in ada.get(f"{BASE}/components?archived=true").json()["items"]]
    assert ada.post(f"{BASE}/components/add/versions/1/restore").json()["archived"] is False
    assert "add" in [each["name"] for each in ada.get(f"{BASE}/components").json()["items"]]


def test_a_pipeline_uses_components_by_version_and_by_label(served: Served, prepared: Prepared) -> None:
    create(served)
    create(served, "2", "+ 10")
    found = submit(served, TWICE).json()
    with served.contexts.read(served_actor()) as ctx:
        commands = {task.name: task.command for task in tasks(ctx, found["id"])}
    assert commands["one"].endswith("+ ${{inputs.b}}") or commands["one"].strip().startswith("expr")
    assert "+ 10" in commands["two"] and "+ 10" not in commands["one"]


def served_actor() -> Any:
    from doubleloop.base import actors

    return actors.Actor("admin")


def tasks(ctx: Any, id_: str) -> Any:
    from doubleloop.jobs import store

    return [step.task for step in store.steps(ctx, id_)]


def test_a_component_that_is_not_there_is_told_with_its_line(served: Served, prepared: Prepared) -> None:
    create(served)
    wrong = TWICE.replace("add:1", "ad:1")
    answer = submit(served, wrong)
    told = answer.json()["error"]
    assert answer.status_code == 404 and told["where"]["line"] == 5 and "Did you mean add?" in told["cure"]
    checked = submit(served, wrong, "jobs/validate").json()
    assert checked["ok"] is False and checked["problems"][0]["where"]["line"] == 5
    assert [each["name"] for each in submit(served, TWICE, "jobs/validate").json()["steps"]] == ["one", "two"]


def test_inputs_are_held_against_what_the_registered_component_declares(served: Served, prepared: Prepared) -> None:
    create(served)
    answer = submit(served, TWICE.replace("inputs: {a: 1}", "inputs: {c: 1}"))
    assert answer.status_code == 400 and "'c'" in answer.text and answer.json()["error"]["where"]["line"] == 5


def test_a_registrys_component_is_found_from_every_workspace(served: Served, prepared: Prepared) -> None:
    document = wire(ADD.format(version="4", more=""))
    admin = served.as_("admin")
    assert admin.post("/api/v1/workspaces/registry/components", json={"document": document}).status_code == 200
    path = "azureml://registries/registry/components/add/versions/4"
    for reference in (path, "azureml:add:4", "azureml://registries/registry/components/add/labels/latest"):
        assert submit(served, TWICE.replace("azureml:add:1", reference).replace("@latest", ":4")).status_code == 200
    missing = submit(served, TWICE.replace("azureml:add:1", path.replace("registries/registry", "registries/far")))
    assert missing.status_code == 404 and "No registry is named 'far'" in missing.text


def test_a_component_without_a_name_or_with_code_that_was_not_uploaded_is_refused(
    served: Served, prepared: Prepared, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    text = ADD.format(version="1", more="") + "code: ./src\n"
    local = served.as_("ada").post(f"{BASE}/components", json={"document": wire(text, tmp_path)})
    assert local.status_code == 400 and "has not been uploaded" in local.text
    nameless = wire(ADD.format(version="1", more="").replace("name: add\n", ""))
    answer = served.as_("ada").post(f"{BASE}/components", json={"document": nameless})
    assert answer.status_code == 400 and "no name" in answer.text


def test_the_catalog_is_listed_shown_and_used_in_a_pipeline(served: Served, prepared: Prepared) -> None:
    ada = served.as_("ada")
    listed = {each["name"]: each for each in ada.get(f"{BASE}/components?catalog=true").json()["items"]}
    shown = ada.get(f"{BASE}/components/binary_classification/versions/@latest?catalog=true").json()
    assert listed["binary_classification"] == shown and shown["workspace"] == "doubleloop"
    assert shown["tags"] == {"scenario": "classical", "task": "binary classification"}
    assert shown["path"].startswith("tree:sha256:") and shown["inputs"]["target"]["type"] == "string"
    assert "binary_classification" not in {each["name"] for each in ada.get(f"{BASE}/components").json()["items"]}
    address = "azureml://registries/doubleloop/components/binary_classification/labels/latest"
    text = f"type: pipeline\njobs: {{learn: {{type: command, component: {address}, inputs: INPUTS}}}}\n"
    good = text.replace("INPUTS", '{target: y, training_data: {path: "azureml:rows:1", type: uri_folder}}')
    assert submit(served, good, "jobs/validate").json()["ok"]
    bad = submit(served, text.replace("INPUTS", "{target: y}"), "jobs/validate").json()
    assert not bad["ok"] and "training_data" in str(bad["problems"])
