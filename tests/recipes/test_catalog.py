"""The catalog of training components: what it lists, how it is named, what a job is given of it."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.components import queries, shipped
from doubleloop.environments import curated
from doubleloop.jobs import mapping
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as workspace_model

ADDRESS = "azureml://registries/doubleloop/components/binary_classification/"
PIPELINE = """
$schema: x/pipelineJob.schema.json
type: pipeline
jobs:
  learn:
    type: command
    component: {address}
    inputs: {{training_data: {{type: uri_folder, path: "azureml:rows:1"}}, target: label}}
"""
FILES = sorted(shipped.FOLDER.glob("*/*.yml"))


def pipeline(address: str) -> documents.Document:
    return documents.parse(PIPELINE.format(address=address), "pipeline.yml", "/")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_component_is_whole(file: Path) -> None:
    written = yaml.safe_load(file.read_text())
    assert written["name"] == file.stem and str(written["version"]).isdigit()
    assert written["tags"]["scenario"] in ("classical", "vision", "language") and written["tags"]["task"]
    assert all(each.get("description") for each in (*written["inputs"].values(), *written["outputs"].values()))
    assert {"model", "evaluation"} <= set(written["outputs"]) and written["outputs"]["model"]["type"] == "mlflow_model"
    assert curated.find(written["environment"]) is not None
    assert documents.load(file, kind="component").notices == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_input_is_handed_to_the_command_which_takes_it(file: Path) -> None:
    written = yaml.safe_load(file.read_text())
    used = set(re.findall(r"\$\{\{(?:inputs|outputs)\.(\w+)\}\}", written["command"]))
    assert used == {*written["inputs"], *written["outputs"]}
    entry, *words = written["command"].replace("$[[", "").replace("]]", "").split()[1:]
    assert entry == "shared/run.py"
    parser = argparse.ArgumentParser()
    try:
        module = importlib.import_module(f"doubleloop.recipes.{words[0]}")
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not here")
    module.options(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert {word for word in words if word.startswith("--")} <= flags


def test_it_is_listed_and_shown_with_its_code(house: Any) -> None:
    with house.read() as ctx:
        listed = {each.name: each for each in queries.shipped_ones(ctx)}
        found = queries.shipped_one(ctx, "binary_classification")
        blobs = ctx.port(storage.Blobs)
    assert set(listed) == {file.stem for file in FILES}
    assert listed[found.name] == found and found.labels == ("latest",) and found.workspace == "doubleloop"
    spec = queries.document(found).spec()
    files = [entry.path for entry in blobs.tree(spec["code"].removeprefix("tree:sha256:")).entries]
    assert {"shared/run.py", "shared/__init__.py", "classical/classification.py"} <= set(files)
    assert not [each for each in files if each.endswith(".yml") or "__pycache__" in each]
    assert "additional_includes" not in spec and str(shipped.FOLDER) not in str(found.spec)


@pytest.mark.parametrize("tail", ["versions/1", "labels/latest"])
def test_a_pipeline_names_it_and_is_given_it_whole(house: Any, tail: str) -> None:
    with house.read() as ctx:
        whole = queries.inlined(ctx, pipeline(ADDRESS + tail))
        code = queries.document(queries.shipped_one(ctx, "binary_classification")).spec()["code"]
    assert whole.spec()["jobs"]["learn"]["component"]["code"] == code
    (task,) = mapping.tasks(whole)
    assert task.code == code and "classical.classification" in task.command


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (ADDRESS + "versions/99", "It has version 1"),
        (ADDRESS + "labels/best", "It has version 1"),
        (ADDRESS.replace("binary_classification", "binary_clasification") + "labels/latest", "binary_classification"),
        ("azureml://registries/elsewhere/components/x/labels/latest", "No registry"),
    ],
)
def test_what_is_not_there_is_said_with_the_line(house: Any, address: str, said: str) -> None:
    with house.read() as ctx, pytest.raises(errors.NotFound) as raised:
        queries.inlined(ctx, pipeline(address))
    assert said in f"{raised.value.what} {raised.value.cure}"
    assert "pipeline.yml:7" in str(raised.value.where)


def test_a_registry_of_that_name_stands_before_it(house: Any) -> None:
    kind = workspace_model.WorkspaceKind.PREPRODUCTION
    with house.write("service:setup", None) as ctx:
        workspaces.put(ctx, workspace_model.Workspace("doubleloop", kind, "", True))
    mine = documents.parse(
        "type: command\ncommand: 'true'\nenvironment: {image: python}\n", "c.yml", "/", kind="component"
    )
    with house.write("service:setup", "doubleloop") as ctx:
        catalog.add(ctx, "component", "binary_classification", "2", "0" * 64, {"document": mine.to_wire()})
    with house.read() as ctx:
        assert queries.resolve(ctx, ADDRESS + "versions/2").digest == "0" * 64
        assert queries.resolve(ctx, ADDRESS + "versions/1").digest != "0" * 64
        assert queries.shipped_one(ctx, "binary_classification@latest").version == "1"
