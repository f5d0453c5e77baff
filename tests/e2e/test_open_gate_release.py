"""A project that registers whatever it has trained: the release compares with production by itself, and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from e2e_installation import Installation

EXAMPLES = Path(__file__).parents[2] / "examples"
DEV, STAGING, PROD = "parcels-dev", "parcels-staging", "parcels-prod"
MODEL = "delivery-minutes"
REQUEST = {"input_data": {"columns": ["distance_km", "stops", "rain"], "data": [[3.12, 2, 1], [8.0, 5, 0]]}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example as it is, copied, with its made-up deliveries written."""
    shutil.copytree(EXAMPLES / "bikes" / "environment", tmp_path / "bikes" / "environment")
    folder = Path(
        shutil.copytree(EXAMPLES / "open-gate", tmp_path / "open-gate", ignore=shutil.ignore_patterns("files"))
    )
    subprocess.run([sys.executable, str(folder / "generate.py"), str(folder / "files")], check=True, cwd=folder)
    return folder


def test_a_worse_model_with_its_flag_up_does_not_get_into_production(
    installation: Installation, project: Path, tmp_path: Path
) -> None:
    doubleloop = installation
    doubleloop("apply", "-f", project / "setup.yml")
    doubleloop.log_in("ada", "grace")
    doubleloop("data", "create", "-f", project / "data" / "deliveries.yml", workspace=DEV, user="ada")
    doubleloop("data", "create", "-f", project / "data" / "deliveries-holdout.yml", workspace=STAGING, user="ada")
    doubleloop("release", "create", "-f", project / "release.yml", user="ada")

    train(doubleloop, project, "good")
    good = doubleloop.wait_for_release("parcels", "1", "ada")
    doubleloop.follow_release(good, "ada", ("waiting",))
    doubleloop("release", "approve", good, "--yes", "-c", "the first one", user="grace")
    doubleloop.follow_release(good, "ada", ("completed",))
    before = production(doubleloop)
    assert before["model"] == f"model:registry/{MODEL}:1"
    answers = invoke(doubleloop, tmp_path)

    bad = train(doubleloop, project, "bad", "--set", "inputs.rows=20")
    assert "good=False, deploy_flag=1" in bad and f"registered {MODEL} version 2" in bad
    refused = doubleloop.wait_for_release("parcels", "2", "ada")
    release = doubleloop.follow_release(refused, "ada", ("failed",))

    (check,) = release["stages"][0]["checks"]
    assert (check["type"], check["outcome"]) == ("model_quality", "failed")
    assert any("champion" in reason for reason in check["reasons"]), check
    assert any("model_quality" in reason for reason in release["reasons"]), release["reasons"]
    assert [stage["workspace"] for stage in release["stages"] if stage["entered_at"]] == [STAGING]
    assert production(doubleloop) == before
    assert invoke(doubleloop, tmp_path) == answers

    late = doubleloop("release", "approve", refused, "--yes", user="grace", code=5)
    assert "failed" in late.err
    items = doubleloop("release", "evidence", refused, "-o", "json", user="grace").json["items"]
    evidence = next(item for item in items if item["type"] == "model_quality")
    measured = evidence["body"]["measurements"]
    assert measured["candidate"]["value"] > 1.02 * measured["champion"]["value"]
    assert measured["champion"]["model"] == f"{MODEL}:1"
    assert doubleloop("audit", "verify", "-o", "json", user="grace").json["whole"]
    print(json.dumps(doubleloop.seconds, indent=2))


def train(doubleloop: Installation, project: Path, name: str, *more: str) -> str:
    began = time.monotonic()
    done = doubleloop(
        "job", "create", "-f", project / "train" / "pipeline.yml", "-n", f"train-{name}", *more, "--stream",
        workspace=DEV, user="ada",
    )  # fmt: skip
    doubleloop.timed(f"training {name}", began)
    return done.out + done.err


def production(doubleloop: Installation) -> dict[str, Any]:
    """The deployment that has all the traffic."""
    found = doubleloop("online-deployment", "list", "-e", MODEL, "-o", "json", workspace=PROD).json
    (serving,) = (each for each in found if each["traffic"] == 100)
    return {key: serving[key] for key in ("id", "name", "model", "status", "release")}


def invoke(doubleloop: Installation, folder: Path) -> list[float]:
    (folder / "request.json").write_text(json.dumps(REQUEST))
    done = doubleloop("online-endpoint", "invoke", "-n", MODEL, "-r", folder / "request.json", workspace=PROD)
    answers: list[float] = done.json
    assert len(answers) == 2
    return answers
