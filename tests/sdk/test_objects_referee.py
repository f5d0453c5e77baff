"""Programs that run with Azure's own SDK, word for word, describe the same things here.

Each case of ``cases`` is such a program; what Azure's SDK makes of it is in ``golden`` (`tools/referee_objects.py`).
With ``DOUBLELOOP_REFEREE`` (a Python that has `azure-ai-ml`) it is asked anew.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import runpy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from doubleloop.specs import documents, fields, parts, pipelines

HERE = Path(__file__).parent
CASES, GOLDEN = HERE / "cases", HERE / "golden"
TOOL = HERE.parents[1] / "tools" / "referee_objects.py"
NAMES = sorted(path.stem for path in CASES.glob("*.py"))
PYTHON = os.environ.get("DOUBLELOOP_REFEREE")
# What the SDK writes besides, of itself: defaults, and settings said twice.
ITS_OWN = {"online_deployment": {"type", "app_insights_enabled"}, "batch_deployment": {"resources"}}
# Of the settings of a search or a parallel step: what its step has already, or the SDK always says.
BOUND = {"name", "inputs", "outputs", "is_deterministic", "trial"}
# Names that the SDK makes up for what has none.
ANONYMOUS = re.compile(r"azureml_anonymous|CliV2Anonymous\w*|[0-9a-f]{64}")


def ours(name: str, monkeypatch: pytest.MonkeyPatch) -> documents.Document:
    monkeypatch.chdir(CASES)
    return runpy.run_path(str(CASES / f"{name}.py"))["entity"].document()


def theirs(folder: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> documents.Document:
    monkeypatch.chdir(CASES)
    data = YAML(typ="safe").load((folder / f"{name}.yml").read_text().replace("<cases>", str(CASES)))
    return documents.parse(json.dumps(named(data)), f"{name}.yml", CASES, kind=kind)


def named(data: Any) -> Any:
    """What the SDK wrote, without the names it made up, and without what a step repeats of its component."""
    if isinstance(data, list):
        return [named(each) for each in data]
    if not isinstance(data, dict):
        return data
    # An AutoML step's outputs are dumped under the name that the service's API has for their type.
    names = {"job_output_type": "type"}
    found = {names.get(key, key): named(each) for key, each in data.items() if each != {}}
    if ANONYMOUS.fullmatch(str(found.get("name"))):
        del found["name"]
        found.pop("version", None)
    component = found.get("component")
    if isinstance(component, dict):
        kept = ("type", "inputs", "outputs")
        return {key: each for key, each in found.items() if key in kept or each != component.get(key)}
    return found


def plain(value: Any) -> Any:
    """What a step, a binding or a setting means, without how it was written."""
    if isinstance(value, fields.Spec):
        said = value.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain({key: each for key, each in said.items() if key not in BOUND})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = {"pointer", "display_name", "component", "tags"}
        kept = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.name not in left_out}
        return {type(value).__name__: plain(kept)}
    if isinstance(value, Mapping) and "$file" in value:
        return YAML(typ="safe").load(value["text"])
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items() if each not in (None, {}, [], ())}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, str):
        text = value.removeprefix("azureml:").removeprefix("file:").removeprefix(f"{CASES}/")
        try:
            return float(text)
        except ValueError:
            return text.rstrip("/")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def meaning(document: documents.Document) -> Any:
    if document.kind == "schedule":
        rest = {key: value for key, value in document.spec().items() if key != "create_job"}
        return [plain(rest), meaning(parts.nested(document, "create_job.job"))]
    spec = document.spec()
    about = {key: spec.get(key) for key in ("display_name", "description", "experiment_name", "tags", "settings")}
    if document.kind.endswith("_job"):
        steps = sorted(pipelines.steps(document), key=lambda step: step.name)
        return [plain(each) for each in (about, steps, pipelines.inputs(document), pipelines.outputs(document))]
    return plain({key: value for key, value in spec.items() if key not in ITS_OWN.get(document.kind, ())})


@pytest.mark.parametrize("name", NAMES)
def test_a_program_describes_what_it_describes_with_azures_sdk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ours(name, monkeypatch)
    found = theirs(GOLDEN, name, mine.kind, monkeypatch)
    assert mine.kind == found.kind
    assert meaning(mine) == meaning(found)


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="set DOUBLELOOP_REFEREE")
def test_azures_sdk_still_says_what_was_written_down(tmp_path: Path) -> None:
    subprocess.run([str(PYTHON), str(TOOL), str(tmp_path)], check=True, timeout=200)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.yml" for name in NAMES}
    for path in tmp_path.iterdir():
        assert path.read_text() == (GOLDEN / path.name).read_text(), path.name
