"""The examples of docs/sdk.md and examples/sdk run, one after the other, against a real server."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sdk_server

from doubleloop.sdk import Environment, Input, MLClient, command, errors, pipeline

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^# (\S+\.(?:py|yml))\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server, the folder of a person who is logged in to it, and a client."""
    folder = tmp_path_factory.mktemp("sdk")
    patch = pytest.MonkeyPatch()
    with sdk_server.working(folder / "home") as served:
        (folder / "work").mkdir()
        patch.chdir(folder / "work")
        patch.setenv("DOUBLELOOP_HOME", str(folder / "nobody"))
        patch.setenv("DOUBLELOOP_URL", served.url)
        patch.setenv("DOUBLELOOP_WORKSPACE", "dev")
        patch.setenv("DOUBLELOOP_TOKEN", served.tokens["ada"])
        with MLClient.from_login(workspace="dev") as client:
            yield SimpleNamespace(client=client, folder=folder / "work", served=served)
    patch.undo()


@pytest.fixture(scope="module")
def told(place: SimpleNamespace) -> SimpleNamespace:
    """What the examples of the page said, and what their names stand for afterwards."""
    scope: dict[str, Any] = {"__name__": "page"}
    said = io.StringIO()
    blocks = BLOCK.findall((ROOT / "docs" / "sdk.md").read_text())
    for _, text in blocks:  # files first: a program may name one that is shown below it
        if name := NAMED.match(text):
            path = place.folder / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    for kind, text in blocks:
        if kind == "python" and not NAMED.match(text):
            (place.folder / "program.py").write_text(text)
            with contextlib.redirect_stdout(said):
                exec(compile(text, str(place.folder / "program.py"), "exec"), scope)
    return SimpleNamespace(scope=scope, said=said.getvalue(), count=len(blocks))


def test_the_page_says_what_the_examples_do(told: SimpleNamespace, place: SimpleNamespace) -> None:
    said = told.said.splitlines()
    assert told.count >= 12
    for line in (
        "written", "5", "2,4", "30", "square", "azureml:squares:1 1", "(3, 2)", "['squares'] 1",
        "program.py:4 (command): ${{inputs.rat}} is used, and the input 'rat' does not exist",
    ):  # fmt: skip
        assert line in said, (line, told.said)
    assert any(line.startswith("completed http") for line in said)
    assert (
        place.folder / "kept" / "named-outputs" / "table" / "squares.csv"
    ).read_text() == "n,square\n0,0\n1,1\n2,4\n"
    assert place.client.schedules.get("nightly").is_enabled is False


def test_the_example_runs(place: SimpleNamespace) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(ROOT / "examples" / "sdk" / "rides.py"), run_name="__main__")
    assert "hour" in said.getvalue()


def test_jobs_components_and_assets_come_back_as_they_were_described(place: SimpleNamespace, told: Any) -> None:
    client, add_up, squares = place.client, told.scope["add_up"], told.scope["squares"]
    kept = client.components.create_or_update(add_up)
    squares.name = "squares"
    one = client.components.create_or_update(squares)
    assert (kept.id, kept.type, one.id) == ("azureml:add_up:1", "pipeline", "azureml:squares:1")
    found = client.components.get("add_up")
    assert found.inputs["upto"].type == "integer" and list(found.outputs) == ["sum"]

    @pipeline
    def twice():
        first = found(upto=3)
        again = one(upto=2)
        return {"sum": first.outputs.sum, "table": again.outputs.table}

    job = client.jobs.submit(twice(), experiment_name="twice", force_rerun=True)
    assert job.experiment_name == "twice"
    told_lines: list[str] = []
    client.jobs.stream(job.name, told_lines.append)
    assert "[again] written\n" in "".join(told_lines)
    assert job.refresh().outputs.sum.text() == "5\n"
    assert job.outputs["table"].path("there").name == "there"
    assert [each.name for each in client.jobs.list(experiment_name="twice")] == [job.name]
    with pytest.raises(errors.NotFound, match="has no output model"):
        _ = job.outputs["model"]
    with pytest.raises(errors.NotFound):
        client.data.get("nothing")


def test_a_job_that_fails_and_a_name_that_is_taken_are_told(place: SimpleNamespace) -> None:
    python = Environment(conda_file={"dependencies": ["python=3.11"]})
    wrong = command(name="wrong", command="echo oh; exit 3", environment=python)
    job = place.client.jobs.create_or_update(wrong)
    with pytest.raises(errors.Failed, match=r"Job wrong failed.*3"):
        job.wait(timeout=60)
    assert place.client.jobs.get("wrong").status == "failed"
    with pytest.raises(errors.Conflict, match="job wrong already"):
        place.client.jobs.submit(wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'complute'"):
        place.client.jobs.create_or_update(wrong, complute="x")
    needs = command(command="cat ${{inputs.x}}", environment=python, inputs={"x": Input(type="uri_file")})
    with pytest.raises(errors.InvalidInput):
        place.client.jobs.validate(needs)
