"""JSON schemas for editors: what the loader takes is taken, what it calls unknown is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_spec_fuzz import FILES

from doubleloop.base import errors
from doubleloop.specs import compat, detection, documents, fields, pointers, schemas, sources

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in (".yml", ".yaml"))
VALIDATORS = {
    kind: jsonschema.Draft202012Validator(schemas.schema(kind)) for kind in detection.MODELS
}  # fmt: skip


def plain(text: str) -> dict[str, Any]:
    return sources.read(text, "f.yml", Path("/nowhere"))[0]


def wrong(kind: str, data: dict[str, Any]) -> list[str]:
    return [f"{list(each.absolute_path)}: {each.message}" for each in VALIDATORS[kind].iter_errors(data)]


@pytest.mark.parametrize("kind", detection.MODELS)
def test_every_schema_is_one_and_describes_every_field(kind: str) -> None:
    made = schemas.schema(kind)
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["$schema"].endswith("2020-12/schema") and made["title"]
    model = detection.MODELS[kind]
    refused = {name for name, entry in compat.entries(model).items() if entry.status == "refused"}
    shown = made["$defs"][model.__name__]["properties"]
    assert set(shown) == set(model.field_names()) - refused
    assert all(field["description"] for each in made["$defs"].values() for field in each["properties"].values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_examples_fit(path: Path) -> None:
    try:
        document = documents.load(path)
    except errors.DoubleloopError:
        pytest.skip("not an asset")
    assert wrong(document.kind, plain(path.read_text())) == []


@pytest.mark.parametrize("text", FILES)
def test_what_the_loader_takes_the_schema_takes(text: str) -> None:
    document = documents.parse(text, "f.yml", Path("/nowhere"))
    assert wrong(document.kind, plain(text)) == []


@pytest.mark.parametrize("text", FILES)
def test_a_typo_anywhere_is_refused_where_the_loader_refuses_it(text: str) -> None:
    """A field that nobody knows, put into every mapping of fields in turn."""
    document = documents.parse(text, "f.yml", Path("/nowhere"))
    written = plain(text)
    tried = 0
    for at, model in fields.models(document.model):
        if type(model) is fields.TextFile or not isinstance(pointers.get(written, at) if at else written, dict):
            continue
        data = copy.deepcopy(written)
        pointers.put(data, (*at, "surprise"), 1)
        lenient = type(model).lenient(pointers.get(data, at) if at else data)
        assert bool(wrong(document.kind, data)) is not lenient, at
        tried += 1
    assert tried


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("data", "name: d\npath: azureml:x:1\ntype: uri_fil\n"),
        ("data", "name: d\n"),
        ("compute", "name: c\ntype: amlcompute\nmax_instances: many\n"),
        ("command_job", "command: [a]\nenvironment: azureml:e:1\n"),
        ("command_job", "command: a\nenvironment: azureml:e:1\nlimits: {timeout: soon}\n"),
        ("online_endpoint", "name: e\nauth_mode: password\n"),
    ],
)
def test_wrong_values_are_refused(kind: str, text: str) -> None:
    assert wrong(kind, plain(text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("data", "name: 7\nversion: 1.10\npath: ./x\ntype: URI_FILE\ndescription: yes\n"),
        ("compute", "name: c\ntype: AmlCompute\nmax_instances: '4'\n"),
        ("command_job", "command: a\nenvironment: {image: python, conda_file: conda.yml}\ninputs: {x: 1}\n"),
        ("command_job", "command: a\nenvironment: azureml:e:1\noutputs:\n  x:\n"),
        ("schedule", "name: s\ntrigger: {type: cron, expression: 0 0 * * *}\ncreate_job: ./job.yml\n"),
        ("schedule", "name: s\ntrigger: {type: cron, expression: 0 0 * * *}\ncreate_job: {command: a}\n"),
    ],
)  # fmt: skip
def test_everything_that_may_be_written_is_taken(kind: str, text: str) -> None:
    assert wrong(kind, plain(text)) == []
