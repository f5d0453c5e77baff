"""The open-gate project: its scripts register a bad model without a murmur, so refusing is the release's work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

OPEN_GATE = Path(__file__).parents[2] / "examples" / "open-gate"


def generate(folder: Path) -> None:
    subprocess.run([sys.executable, str(OPEN_GATE / "generate.py"), str(folder)], check=True)


def test_the_deliveries_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        generate(tmp_path / name)
    for file in ("deliveries.csv", "deliveries-holdout.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    header, first = (tmp_path / "first" / "deliveries.csv").read_text().splitlines()[:2]
    assert (header, first) == ("distance_km,stops,rain,minutes", "3.12,2,1,17.1")


def test_no_step_of_the_project_gets_the_hold_out() -> None:
    pipeline = (OPEN_GATE / "train" / "pipeline.yml").read_text()
    assert "holdout" not in pipeline
    release = YAML(typ="safe").load(OPEN_GATE / "release.yml")
    check = release["stages"][0]["checks"][0]
    assert (check["type"], check["data"]) == ("model_quality", "azureml:deliveries-holdout:1")
    assert "retrain" not in release["stages"][0]


@pytest.mark.slow
def test_a_bad_model_is_registered_like_a_good_one(
    examples_python: Path, examples_environ: dict[str, str], tmp_path: Path
) -> None:
    generate(tmp_path)
    conda_file = OPEN_GATE.parent / "bikes" / "environment" / "train-conda.yml"

    def run(*command: str | Path) -> str:
        return subprocess.run(
            [str(examples_python), *map(str, command)], cwd=OPEN_GATE / "src", env=examples_environ, text=True,
            capture_output=True, check=True,
        ).stdout  # fmt: skip

    said = {}
    for rows in (2000, 20):
        data, model, report = tmp_path / "deliveries.csv", tmp_path / f"model{rows}", tmp_path / f"report{rows}"
        run("train.py", "--data", data, "--conda_file", conda_file, "--rows", str(rows), "--model", model)
        run("evaluate.py", "--data", data, "--model", model, "--report", report)
        said[rows] = run("register.py", "--model", model, "--report", report, "--model_name", "delivery-minutes")
    assert "good=True, deploy_flag=1\nregistered delivery-minutes version 1" in said[2000]
    assert "good=False, deploy_flag=1\nregistered delivery-minutes version 2" in said[20]
