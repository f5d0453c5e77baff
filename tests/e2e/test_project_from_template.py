"""Projects that `doubleloop init` wrote run as their READMEs say: trained by the catalog, released, asked, watched."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_installation import Installation, started

import torches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NAME = "nuclei"
WHOLE = "DOUBLELOOP_TEMPLATES"
AREAS = ("files", "network", "numbers", "processes", "texts")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for all three projects, whose workspaces and names differ."""
    with started(tmp_path_factory.mktemp("one") / "home") as made:
        yield made


def blocks(project: Path) -> Iterator[list[list[str]]]:
    """The commands of each block of the README, as words."""
    for block in re.findall(r"^```\n(.*?)^```", (project / "README.md").read_text(), re.MULTILINE | re.DOTALL):
        yield [shlex.split(line)[1:] for line in block.splitlines()]


def begun(
    installation: Installation, folder: Path, name: str, scenario: str, *, trains: bool = True
) -> tuple[Path, list[list[str]]]:
    """The project, once its README's first block is done, which trains; and what the second one says. Without torch's
    environment, whose build is dear, nothing is trained: `make templates` asks for it."""
    made = installation.run("init", name, "--scenario", scenario, cwd=folder)
    assert made.code == 0, made.err
    begin, after = blocks(folder / name)
    for words in begin:
        if trains or words[:2] != ["job", "create"]:
            installation(*words, cwd=folder / name)
    installation.log_in("grace")
    return folder / name, after


def told(installation: Installation, folder: Path, name: str) -> dict[str, Any]:
    """What the first training's evaluation says."""
    (job,) = installation("job", "list", "-o", "json", workspace=f"{name}-dev").json
    where = ("--output-name", "evaluation", "-p", folder / "told")
    installation("job", "download", "-n", job["id"], *where, workspace=f"{name}-dev")
    (found,) = (json.loads(file.read_text()) for file in (folder / "told").rglob("metrics.json"))
    return dict(found)


def let_out(installation: Installation, name: str) -> dict[str, str]:
    """Outcomes of the checks of the release that the first version started, which grace has approved."""
    id_ = installation.wait_for_release(name, "1", "grace")
    waiting = installation.follow_release(id_, "grace", ("waiting",))
    installation("release", "approve", id_, "--yes", "-c", "good", user="grace")
    installation.follow_release(id_, "grace", ("completed",))
    return {check["type"]: check["outcome"] for check in waiting["stages"][0]["checks"]}


def watched(installation: Installation, project: Path, words: list[str]) -> None:
    """A run of the monitor, which wakes nobody: the request's rows are of the hold-out."""
    run = installation(*words, "-o", "json", cwd=project).json
    assert run["status"] == "completed", run
    assert installation("alert", "list", "-o", "json", workspace=f"{project.name}-prod").json == []


def scored(installation: Installation, project: Path, commands: list[list[str]]) -> list[str]:
    """The lines that a batch endpoint answers, once the commands have made it and asked it."""
    *batch, ask = commands
    for words in batch:
        installation(*words, cwd=project)
    prod, id_ = f"{project.name}-prod", installation(*ask, "-o", "json", cwd=project).json["id"]
    installation("job", "stream", "-n", id_, workspace=prod)
    place = project / "scores"
    installation("job", "download", "-n", id_, "--output-name", "score", "-p", place, workspace=prod)
    (file,) = place.rglob("predictions.csv")
    return file.read_text().splitlines()


def labelling(installation: Installation, project: Path) -> None:
    where = {"workspace": f"{project.name}-dev", "cwd": project}
    made = installation("labeling", "create", "-f", "labeling.yml", "-o", "json", **where).json
    assert made["status"] == "open" and made["items"] > 500


def test_the_classical_project_goes_from_its_table_to_production(installation: Installation, tmp_path: Path) -> None:
    project, (asked, looked, *batch) = begun(installation, tmp_path, NAME, "classical")
    (job,) = installation("job", "list", "-o", "json", workspace=f"{NAME}-dev").json
    steps = installation("job", "show", job["id"], "-o", "json", workspace=f"{NAME}-dev").json["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [("prepare", "completed"), ("learn", "completed")]
    measured = told(installation, tmp_path, NAME)
    assert measured["metrics"]["auc"] > 0.95 and measured["baseline"]["metrics"]["auc"] == 0.5
    checks = ("data_quality", "unit_tests", "model_quality", "endpoint_performance", "scan")
    assert let_out(installation, NAME) == dict.fromkeys(checks, "passed")

    answers = installation(*asked, cwd=project).json
    assert set(answers) <= {"benign", "malignant"} and len(answers) == 100
    watched(installation, project, looked)
    rules = {each["name"] for each in installation("rule", "list", "-o", "json", workspace=f"{NAME}-prod").json}
    assert f"{NAME}-retrain" in rules
    lines = [line.split(",") for line in scored(installation, project, batch)]
    assert len(lines) == 169 and {line[1] for line in lines} == {"benign", "malignant"}
    assert [line[1] for line in lines[:100]] == answers  # the request's rows are the first of the file


def test_the_language_project_is_trained_again_in_staging_and_goes_to_production(
    installation: Installation, tmp_path: Path
) -> None:
    project, (asked, looked, *batch) = begun(installation, tmp_path, "chapters", "language")
    measured = told(installation, tmp_path, "chapters")
    assert measured["metrics"]["macro_f1"] > 0.8 > 0.2 > measured["baseline"]["metrics"]["macro_f1"]
    checks = ("data_quality", "unit_tests", "model_quality", "scan")
    assert let_out(installation, "chapters") == dict.fromkeys(checks, "passed")
    staged = installation("job", "list", "-o", "json", workspace="chapters-staging").json
    assert any(each["status"] == "completed" for each in staged), staged

    answers = installation(*asked, cwd=project).json
    assert len(answers) == 100 and {each["prediction"] for each in answers} == set(AREAS)
    assert all(abs(sum(each["probabilities"]) - 1) < 1e-6 for each in answers)
    watched(installation, project, looked)
    lines = scored(installation, project, batch)
    assert len(lines) == 316
    labelling(installation, project)


def test_what_the_vision_project_says_is_made(installation: Installation, tmp_path: Path) -> None:
    project, _ = begun(installation, tmp_path, "figures", "vision", trains=False)
    where = {"workspace": "figures-dev", "cwd": project}
    validated = installation("job", "validate", "-f", "train/pipeline.yml", "-o", "json", **where)
    assert validated.json["ok"], validated.json
    labelling(installation, project)


@pytest.mark.skipif(not os.environ.get(WHOLE), reason=f"torch's environment is built for it; set {WHOLE}=1")
def test_the_vision_project_goes_to_production_as_it_was_trained(installation: Installation, tmp_path: Path) -> None:
    torches.packages()
    project, (asked, looked) = begun(installation, tmp_path, "digits", "vision")
    measured = told(installation, tmp_path, "digits")
    assert measured["metrics"]["accuracy"] > 0.9 > 0.2 > measured["baseline"]["metrics"]["accuracy"]
    checks = ("data_quality", "unit_tests", "model_quality", "scan")
    assert let_out(installation, "digits") == dict.fromkeys(checks, "passed")
    assert installation("job", "list", "-o", "json", workspace="digits-staging").json == []

    answers = installation(*asked, cwd=project).json
    assert len(answers) == 100 and {each["prediction"] for each in answers} <= set("0123456789")
    watched(installation, project, looked)
    labelling(installation, project)
