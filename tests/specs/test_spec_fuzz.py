"""Files with random faults: an answer is a document or an error with a place, never a traceback."""

from __future__ import annotations

import functools
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.specs import documents, pipelines

FILES = [
    """$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
inputs:
  raw: {type: uri_file, path: azureml:rides:1}
  rate: 0.1
outputs:
  model: {type: mlflow_model}
settings: {default_compute: azureml:cpu, continue_on_step_failure: false}
jobs:
  prep:
    command: python prep.py --raw ${{inputs.raw}} --out ${{outputs.table}} $[[--n ${{inputs.raw}}]]
    environment:
      image: python
      conda_file:
        dependencies: [python=3.11]
    inputs: {raw: '${{parent.inputs.raw}}'}
    outputs:
      table:
    resources: {instance_count: 1}
  train:
    component:
      command: train ${{inputs.table}} ${{inputs.rate}} ${{outputs.model}}
      environment: azureml:train:3
      inputs:
        table: {type: uri_folder}
        rate: {type: number, min: 0, max: 1, default: 0.5}
      outputs:
        model: {type: custom_model}
    inputs:
      table: ${{parent.jobs.prep.outputs.table}}
      rate: ${{parent.inputs.rate}}
    outputs:
      model: ${{parent.outputs.model}}
""",
    """name: blue
endpoint_name: rides
model: {path: azureml:rides:1, type: mlflow_model}
environment: azureml:e@latest
instance_type: Standard_DS3_v2
request_settings: {request_timeout_ms: 3000}
data_collector:
  collections:
    model_inputs: {enabled: 'True'}
  sampling_rate: 0.5
""",
    """name: watch
trigger:
  type: recurrence
  frequency: week
  interval: 1
  schedule: {hours: [1, 2], minutes: 0, week_days: [monday]}
  time_zone: Pacific Standard Time
create_monitor:
  monitoring_signals:
    drift:
      type: data_drift
      features: [a, b]
      reference_data:
        input_data: {path: azureml:t:1, type: mltable}
        data_window: {lookback_window_size: P7D}
      metric_thresholds: {numerical: {jensen_shannon_distance: 0.1}}
""",
    """$schema: doubleloop/release
name: rides
model: azureml:rides
stages:
  - workspace: staging
    checks:
      - {type: model_quality, data: azureml:h:1, target: y, metric: rmse, at_most: 4, champion: {tolerance: 0.02}}
      - type: data_quality
        data: azureml:d:1
        contract: {columns: {a: {type: number, at_least: 0}}}
    retrain:
      job: {command: x, environment: azureml:e:1, inputs: {i: 1}}
      inputs: {i: 2}
  - workspace: prod
    approval: {personas: [project_lead], count: 1, expires: 7d}
    deployment: {name: blue, endpoint_name: e, model: azureml:m:1}
    rollout: {steps: [10, 100], bake: 60s}
""",
    """$schema: doubleloop/rule
name: r
on: monitor.alert
where: {value: {at_least: 0.2}}
do:
  - retrain: {release: rides, data: {asset: azureml:d, window: 30d}}
limit: 3
""",
    """$schema: doubleloop/setup
workspaces:
  - {name: dev, kind: preproduction, package_substitutions: [{match: 'git+*', action: drop}]}
groups:
  - {name: g, persona: project_lead, members: [ada], workspaces: [dev]}
""",
]
FOLDER = Path(__file__).parent / "referee" / "cases"
CASES = [path.read_text() for path in sorted(FOLDER.glob("*.yml"))]
VALUES = [
    "", "1", "-1", "1e400", ".inf", "true", "off", "null", "[]", "{}", "[1, 2]", "{a: b}", "azureml:x:1", "azureml:",
    "${{parent.inputs.x}}", "${{", "$[[", "./x", "..", "~", "*x", "&a", "!t", '"', "|", ">", "@", "9" * 30, "a: b",
    "- x", "é", "\u2028", "\x00", "type: pipeline", "2024-01-02", "P7D", "{{X}}", "../../..", "file:///etc/passwd",
]  # fmt: skip


def broken(text: str, seed: int) -> str:
    dice = random.Random(seed)
    lines = text.split("\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        key, _, value = lines[at].partition(": ")
        shapes = [
            [],
            [f"{key}: {dice.choice(VALUES)}"],
            [f"{key}x: {value}"],
            ["  " + lines[at]],
            [lines[at][2:]],
            [lines[at], lines[dice.randrange(len(lines))]],
            [lines[at].replace("{", "", 1)],
            [lines[at].replace("}}", "}")],
            [lines[at], "\t" + lines[at]],
        ]
        lines[at : at + 1] = dice.choice(shapes)
        lines = lines or [""]
    return "\n".join(lines)


def bitten(text: str, seed: int) -> str:
    """Faults that no editor makes: bytes lost, doubled and exchanged."""
    dice = random.Random(seed)
    characters = list(text)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(characters))
        characters[at] = dice.choice(["", characters[at] * 2, *"{}[]:-'%&", '"', "\n", "\u0085"])
    return "".join(characters)


def reads_or_tells(text: str, file: str, folder: Path) -> None:
    """A document that goes over the wire and back, or an error that says what and where."""
    try:
        document = documents.parse(text, file, folder)
        wire = json.loads(json.dumps(document.to_wire(), allow_nan=False))
        back = documents.from_wire(wire)
        assert back.to_wire() == wire
        documents.local_paths(back)
        if back.kind in ("command_job", "pipeline_job"):
            pipelines.steps(back)
    except errors.DoubleloopError as error:
        assert error.where is not None and error.where.file
        assert error.what and "\n" not in error.what.strip()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES + CASES), st.integers(0, 2**32))
def test_no_fault_ends_in_a_traceback(text: str, seed: int) -> None:
    reads_or_tells(broken(text, seed), "f.yml", Path("/nowhere"))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES + CASES), st.integers(0, 2**32))
def test_lost_and_doubled_characters_end_in_no_traceback(text: str, seed: int) -> None:
    reads_or_tells(bitten(text, seed), "f.yml", FOLDER)


@pytest.mark.slow
@pytest.mark.skipif("DOUBLELOOP_CORPUS" not in os.environ, reason="set DOUBLELOOP_CORPUS to a folder of files")
@settings(max_examples=1500, deadline=None)
@given(st.data(), st.integers(0, 2**32))
def test_no_fault_in_a_corpus_ends_in_a_traceback(data: st.DataObject, seed: int) -> None:
    path = data.draw(st.sampled_from(corpus()))
    text = path.read_text(errors="replace")
    if text.strip():
        reads_or_tells((broken if seed % 3 else bitten)(text, seed), path.name, path.parent)


@functools.cache
def corpus() -> list[Path]:
    found = Path(os.environ["DOUBLELOOP_CORPUS"]).rglob("*")
    return sorted(path for path in found if path.suffix.lower() in (".yml", ".yaml") and path.is_file())


def test_the_files_are_right_before_they_are_broken() -> None:
    for text in FILES:
        documents.parse(text, "f.yml", Path("/nowhere"))
