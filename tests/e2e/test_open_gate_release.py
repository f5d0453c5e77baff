"""A project that registers whatever it has trained: the release compares with production by itself, and refuses; and
production, once released to, needs nothing of where the model came from."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from e2e_installation import Installation, started

from doubleloop.storage.local import LocalBlobs

EXAMPLES = Path(__file__).parents[2] / "examples"
DEV, STAGING, PROD = "parcels-dev", "parcels-staging", "parcels-prod"
MODEL = "delivery-minutes"
REQUEST = {"input_data": {"columns": ["distance_km", "stops", "rain"], "data": [[3.12, 2, 1], [8.0, 5, 0]]}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as it is, copied, with its made-up deliveries written."""
    place = tmp_path_factory.mktemp("project")
    shutil.copytree(EXAMPLES / "bikes" / "environment", place / "bikes" / "environment")
    folder = Path(shutil.copytree(EXAMPLES / "open-gate", place / "open-gate", ignore=shutil.ignore_patterns("files")))
    subprocess.run([sys.executable, str(folder / "generate.py"), str(folder / "files")], check=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def doubleloop(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose first release, of a good model, has gone through to production."""
    with started(tmp_path_factory.mktemp("open-gate") / "home") as made:
        made("apply", "-f", project / "setup.yml")
        made.log_in("ada", "grace")
        made("data", "create", "-f", project / "data" / "deliveries.yml", workspace=DEV, user="ada")
        made("data", "create", "-f", project / "data" / "deliveries-holdout.yml", workspace=STAGING, user="ada")
        made("release", "create", "-f", project / "release.yml", user="ada")
        train(made, project, "good")
        good = made.wait_for_release("parcels", "1", "ada")
        made.follow_release(good, "ada", ("waiting",))
        made("release", "approve", good, "--yes", "-c", "the first one", user="grace")
        made.follow_release(good, "ada", ("completed",))
        yield made


def test_a_worse_model_with_its_flag_up_does_not_get_into_production(
    doubleloop: Installation, project: Path, tmp_path: Path
) -> None:
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


def test_production_goes_on_when_all_that_belonged_to_preproduction_is_gone(
    doubleloop: Installation, project: Path, tmp_path: Path
) -> None:
    """Its workspaces with every row, the content that nothing else refers to, MLflow's files, the folders of jobs."""
    before, answers = production(doubleloop), invoke(doubleloop, tmp_path)
    (good,) = (
        each["id"] for each in doubleloop("release", "list", "-o", "json", user="grace").json
        if each["status"] == "completed"
    )  # fmt: skip
    doubleloop.down()
    forgotten = forget(doubleloop.home)
    assert {"assets", "jobs", "job_steps", "workspaces"} <= forgotten.keys() and forgotten["blobs"] > 5, forgotten
    doubleloop.up()

    assert production(doubleloop) == before
    assert invoke(doubleloop, tmp_path) == answers

    # A deployment beside it, grown, given all traffic, and taken back.
    file = project / "deploy" / "online-deployment.yml"
    for how, more in (("create", ()), ("update", ("--set", "instance_count=2"))):
        doubleloop(
            "online-deployment", how, "-f", file, "-n", "green", "--set", f"model=azureml:{MODEL}:1", *more,
            workspace=PROD,
        )  # fmt: skip
    for share in ("green=100", f"{before['name']}=100"):
        doubleloop("online-endpoint", "update", "-n", MODEL, "--traffic", share, workspace=PROD)
        assert invoke(doubleloop, tmp_path) == answers
    doubleloop("online-deployment", "delete", "-n", "green", "-e", MODEL, "--yes", workspace=PROD)
    assert production(doubleloop) == before

    (tmp_path / "monitor.yml").write_text(MONITOR)
    doubleloop("monitor", "create", "-f", tmp_path / "monitor.yml", workspace=PROD)
    found = doubleloop("monitor", "run-now", "-n", "parcels-monitor", "-o", "json", workspace=PROD).json
    assert found["status"] == "completed", found

    for user in ("admin", "grace"):
        for asked in (good, before["id"], f"{MODEL}:1"):
            told = doubleloop("trace", asked, "-o", "json", user=user).json
            assert told["release"]["id"] == good and told["deployment"]["id"] == before["id"], (user, asked)
            assert told["deployment"]["workspace"] == PROD and told["model"]["version"] == "1"
            assert told["approvals"][0]["status"] == "approved" and all(each["intact"] for each in told["checks"])
            assert told["environments"][0]["packages"] and told["job"] is None
        assert [
            each["id"] for each in doubleloop("release", "list", "-o", "json", user=user).json if each["id"] == good
        ]
    items = doubleloop("release", "evidence", good, "-o", "json", user="grace").json["items"]
    assert [item["outcome"] for item in items] == ["passed"]
    doubleloop("registry", "export", "--release", good, "-f", tmp_path / "parcels.bundle", user="grace")
    assert doubleloop("audit", "verify", "-o", "json", user="grace").json["whole"]


MONITOR = """
$schema: https://azuremlschemas.azureedge.net/latest/monitorSchedule.schema.json
name: parcels-monitor
trigger: {type: cron, expression: "0 0 * * *"}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: regression, endpoint_deployment_id: azureml:delivery-minutes:blue}
"""
# The record, and what was decided about releases, are the installation's.
KEPT = ("facts", "releases", "release_stages", "gate_approvals", "setup_items")
HASH = re.compile(rb"\b[0-9a-f]{64}\b")


def forget(home: Path) -> dict[str, int]:
    """Remove all of DEV and STAGING from the home of an installation that does not run; returns how much of what."""
    gone: dict[str, int] = {}
    with closing(sqlite3.connect(home / "doubleloop.sqlite")) as raw, raw:
        tables = {name: [row[1] for row in raw.execute(f"pragma table_info({name})")] for (name,) in raw.execute(
            "select name from sqlite_master where type = 'table'")}  # fmt: skip
        below = {name for name, columns in tables.items() if "job" in columns and "workspace" not in columns}
        for name in sorted(below):
            mine = f"job in (select id from jobs where workspace in ('{DEV}', '{STAGING}'))"
            gone[name] = raw.execute(f"delete from {name} where {mine}").rowcount
        for name, columns in tables.items():
            column = "name" if name == "workspaces" else "workspace"
            if name not in KEPT and column in columns:
                where = f"{column} in ('{DEV}', '{STAGING}')"
                gone[name] = raw.execute(f'delete from "{name}" where {where}').rowcount
        left = [
            str(row).encode() for name in tables if name != "facts" for row in raw.execute(f'select * from "{name}"')
        ]
    gone["blobs"] = _sweep(home / "blobs", {found for text in left for found in HASH.findall(text)})
    shutil.rmtree(home / "mlflow" / "artifacts")
    for place in (home / "runs", *(home / "datastores").glob("*"), *(home / "inference").glob("*")):
        if place.name != PROD:
            shutil.rmtree(place, ignore_errors=True)
    (home / "runs").mkdir()
    return gone


def _sweep(folder: Path, wanted: set[bytes]) -> int:
    """Remove content that nothing leads to: no row, and no folder or manifest that a row leads to."""
    blobs, known, removed = LocalBlobs(folder), set[bytes](), 0
    while wanted - known:
        sha256 = (wanted - known).pop()
        known.add(sha256)
        if blobs.has(sha256.decode()) and (content := blobs.read(sha256.decode()))[:1] in b"{[":
            wanted |= set(HASH.findall(content))
    for place in folder.glob("[0-9a-f][0-9a-f]/*"):
        if f"{place.parent.name}{place.name}".encode() not in known:
            place.unlink()
            removed += 1
    return removed


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
