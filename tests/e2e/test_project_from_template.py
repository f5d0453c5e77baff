"""Projects that `doubleloop init` wrote run as their READMEs say: trained by the catalog, released, asked, watched."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NAME = "nuclei"


def blocks(project: Path) -> Iterator[list[list[str]]]:
    """The commands of each block of the README, as words."""
    for block in re.findall(r"^```\n(.*?)^```", (project / "README.md").read_text(), re.MULTILINE | re.DOTALL):
        yield [shlex.split(line)[1:] for line in block.splitlines()]


def taken(installation: Installation, folder: Path, scenario: str) -> None:
    """Everything that another scenario's README does before it trains, and its labelling project."""
    installation("init", scenario, "--scenario", scenario, cwd=folder)
    project, dev = folder / scenario, f"{scenario}-dev"
    begin, _ = blocks(project)
    for words in begin:
        if words[:2] != ["job", "create"]:
            installation(*words, cwd=project)
    validated = installation("job", "validate", "-f", "train/pipeline.yml", "-o", "json", workspace=dev, cwd=project)
    assert validated.json["ok"], validated.json
    made = installation("labeling", "create", "-f", "labeling.yml", "-o", "json", workspace=dev, cwd=project).json
    assert made["status"] == "open" and made["items"] > 500


def test_the_classical_project_goes_from_its_table_to_production(installation: Installation, tmp_path: Path) -> None:
    for scenario in ("language", "vision"):
        taken(installation, tmp_path, scenario)
    project = tmp_path / NAME
    installation("init", NAME, "--scenario", "classical", cwd=tmp_path)
    begin, after = blocks(project)
    for words in begin:
        installation(*words, cwd=project)
    installation.log_in("grace")

    dev = f"{NAME}-dev"
    (job,) = installation("job", "list", "-o", "json", workspace=dev).json
    steps = installation("job", "show", job["id"], "-o", "json", workspace=dev).json["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [("prepare", "completed"), ("learn", "completed")]
    where = ("--output-name", "evaluation", "-p", tmp_path / "told")
    installation("job", "download", "-n", job["id"], *where, workspace=dev)
    (told,) = (json.loads(file.read_text()) for file in (tmp_path / "told").rglob("metrics.json"))
    assert told["metrics"]["auc"] > 0.95 and told["baseline"]["metrics"]["auc"] == 0.5

    id_ = installation.wait_for_release(NAME, "1", "grace")
    waiting = installation.follow_release(id_, "grace", ("waiting",))
    checks = {check["type"]: check["outcome"] for check in waiting["stages"][0]["checks"]}
    assert checks == dict.fromkeys(
        ("data_quality", "unit_tests", "model_quality", "endpoint_performance", "scan"), "passed"
    )
    installation("release", "approve", id_, "--yes", "-c", "good", user="grace")
    installation.follow_release(id_, "grace", ("completed",))

    asked, watched, *batch, scored = after
    answers = installation(*asked, cwd=project).json
    assert set(answers) <= {"benign", "malignant"} and len(answers) == 100
    run = installation(*watched, "-o", "json", cwd=project).json
    assert run["status"] == "completed", run
    # The request's rows are of the hold-out: nothing has moved, and nobody is woken.
    assert installation("alert", "list", "-o", "json", workspace=f"{NAME}-prod").json == []
    rules = {each["name"] for each in installation("rule", "list", "-o", "json", workspace=f"{NAME}-prod").json}
    assert f"{NAME}-retrain" in rules

    for words in batch:
        installation(*words, cwd=project)
    prod, id_ = f"{NAME}-prod", installation(*scored, "-o", "json", cwd=project).json["id"]
    installation("job", "stream", "-n", id_, workspace=prod)
    installation("job", "download", "-n", id_, "--output-name", "score", "-p", tmp_path / "scores", workspace=prod)
    (file,) = (tmp_path / "scores").rglob("predictions.csv")
    lines = [line.split(",") for line in file.read_text().splitlines()]
    assert len(lines) == 169 and {line[1] for line in lines} == {"benign", "malignant"}
    assert [line[1] for line in lines[:100]] == answers  # the request's rows are the first of the file
