"""`doubleloop init`: whole projects whose files are valid and whose own tests pass, or nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from doubleloop.base import errors
from doubleloop.cli import app, projects
from doubleloop.components import shipped
from doubleloop.specs import documents

# What a file of this name is, where the file does not say it.
NOT_OURS = ("ci.yml",)


@pytest.fixture(scope="module", params=[each for each in projects.SCENARIOS if (projects.TEMPLATES / each).is_dir()])
def project(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param) / "my-own"
    projects.write("my-own", request.param, place)
    return place


def test_every_file_is_valid_and_names_things_that_are_there(project: Path) -> None:
    files = [file for file in project.rglob("*.yml") if file.name not in NOT_OURS]
    assert {"setup.yml", "release.yml", "monitor.yml", "rule.yml", "pipeline.yml"} <= {file.name for file in files}
    known: set[str] = set()
    for file in files:
        document = documents.load(file)
        if document.kind in ("data", "rule", "release"):
            known.add(document.model.name)
        for component in yaml.safe_load(file.read_text()).get("jobs", {}).values():
            address = str(component["component"])
            if address.startswith("azureml:"):
                assert shipped.read(address.split("/")[5]).name in address
    assert {"my-own-data", "my-own-holdout", "my-own"} <= known
    text = "".join(file.read_text() for file in project.rglob("*") if file.suffix in (".yml", ".md", ".py", ".ini"))
    assert projects.TOKEN not in text
    workflow = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())
    assert {"test", "train"} == set(workflow["jobs"]) and (project / ".gitignore").is_file()


def test_its_own_tests_pass(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["My", "a b", "1a", "a--b", "a_b", "", "x" * 21, "../up"])
def test_a_name_that_assets_could_not_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be the name of a project"):
        projects.write(name, "classical", tmp_path / "place")
    assert list(tmp_path.iterdir()) == []


def _file(place: Path) -> None:
    place.write_text("mine")


def _folder(place: Path) -> None:
    place.mkdir()
    (place / "mine").write_text("mine")


@pytest.mark.parametrize("make", [_file, _folder])
def test_what_is_there_is_not_touched(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = tmp_path / "place"
    make(place)
    with pytest.raises(errors.Conflict, match=r"is (not empty|no folder)"):
        projects.write("mine", "classical", place)
    assert [each.read_text() for each in tmp_path.rglob("mine")] == ["mine"] * (make is _folder)
    assert len(list(tmp_path.rglob("*"))) == 1 + (make is _folder)


def test_an_empty_folder_is_filled_and_a_broken_write_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    assert "setup.yml" in projects.write("mine", "classical", place)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projects, "_copy", full)
    with pytest.raises(errors.InvalidInput, match="No space left on device"):
        projects.write("mine", "classical", tmp_path / "other")
    assert [each.name for each in tmp_path.iterdir()] == ["empty"]


def test_the_command_says_where_it_is_and_what_is_missing(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        app.program, ["init", "mine", "--scenario", "classical", "--folder", str(tmp_path / "a"), "-o", "json"]
    )
    assert run.exit_code == 0, run.output
    assert '"scenario": "classical"' in run.output
    with pytest.raises(click.UsageError, match="scenario"):
        CliRunner().invoke(app.program, ["init", "mine"], catch_exceptions=False, standalone_mode=False)
