"""The command line with the real API on a real database: what one writes, the other understands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

BIKES = Path(__file__).parents[2] / "examples" / "bikes"

SETUP = """$schema: doubleloop/setup
workspaces:
  - {name: dev, kind: preproduction}
  - {name: prod, kind: production}
users: [{name: ada}, {name: grace}]
groups:
  - {name: science, persona: data_scientist, members: [ada]}
  - {name: leads, persona: project_lead, members: [grace]}
"""
JOB = """$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: cat ${{inputs.bikes}}
code: src
environment: azureml:plain@latest
inputs:
  bikes: {type: uri_file, path: "azureml:bikes@latest"}
"""


def ok(done: Any) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out) if done.out else None


@pytest.fixture
def everybody(installed: Any) -> Any:
    ok(installed("apply", "-f", installed.file("setup.yml", SETUP)))
    secret = {user: f"{user}s long password\n" for user in ("grace", "ada")}
    for user, password in secret.items():
        ok(installed("user", "set-password", "-n", user, "--password-stdin", stdin=password))
    for user, password in secret.items():
        ok(installed("login", "--user", user, "--password-stdin", stdin=password))
    ok(installed("workspace", "use", "dev"))
    return installed


def test_a_setup_is_applied_once(installed: Any) -> None:
    file = installed.file("setup.yml", SETUP)
    planned = ok(installed("plan", "-f", file))
    assert {(each["kind"], each["name"]) for each in planned["changes"] if each["action"] == "create"} >= {
        ("workspace", "dev"), ("workspace", "prod"), ("user", "ada"), ("group", "leads"),
    }  # fmt: skip
    ok(installed("apply", "-f", file))
    again = ok(installed("apply", "-f", file))
    assert {each["action"] for each in again["changes"]} <= {"none"}
    assert installed("plan", "-f", file, "-o", "table").out == "Nothing to change.\n"


def test_the_inner_loops_nouns(everybody: Any) -> None:
    doubleloop = everybody
    doubleloop.file("bikes.csv", "hour,count\n8,300\n")
    create = ("data", "create", "-n", "bikes", "--path", "bikes.csv", "-t", "uri_file")
    first = ok(doubleloop(*create, "-l", "production", "--tags", "city=dc"))
    assert (first["version"], first["created_by"], first["tags"]) == ("1", "ada", {"city": "dc"})
    assert ok(doubleloop(*create))["version"] == "1"
    doubleloop.file("bikes.csv", "hour,count\n8,301\n")
    assert ok(doubleloop(*create))["version"] == "2"
    assert ok(doubleloop("data", "show", "bikes@production"))["version"] == "1"
    assert ok(doubleloop("data", "label", "-n", "bikes", "-l", "production"))["version"] == "2"
    assert ok(doubleloop("data", "list", "-n", "bikes", "--query", "[].version")) == ["2", "1"]
    missing = doubleloop("data", "show", "-n", "bike")
    assert (missing.code, "bikes" in missing.err) == (3, True)

    doubleloop.file("conda.yml", "dependencies: [python=3.11]\n")
    ok(doubleloop("environment", "create", "-n", "plain", "--image", "python", "--conda-file", "conda.yml"))
    assert "plain" in ok(doubleloop("environment", "list", "--query", "[].name"))

    doubleloop.file("src/main.py", "print(1)")
    file = doubleloop.file("job.yml", JOB)
    assert ok(doubleloop("job", "validate", "-f", file))["ok"] is True
    job = ok(doubleloop("job", "create", "-f", file, "-n", "first", "--set", "display_name=try"))
    assert (job["name"], job["status"], job["display_name"]) == ("first", "queued", "try")
    assert doubleloop("job", "create", "-f", file, "-n", "first").code == 5
    assert len(ok(doubleloop("job", "show", "-n", "first"))["steps"]) == 1
    assert ok(doubleloop("job", "list", "--query", "[].id")) == ["first"]
    changes = ("display_name=tried", "experiment_name=other", "tags.k=v 1")
    changed = ok(doubleloop("job", "update", "-n", "first", "--set", *changes))
    assert (changed["display_name"], changed["experiment"], changed["tags"]) == ("tried", "other", {"k": "v 1"})
    refused = doubleloop("job", "update", "-n", "first", "--set", "inputs.bikes=x")
    assert refused.code == 2 and "cannot be changed" in refused.err
    assert ok(doubleloop("job", "archive", "-n", "first"))["archived"] is True
    assert (ok(doubleloop("job", "list")), len(ok(doubleloop("job", "list", "--archived-only")))) == ([], 1)
    assert ok(doubleloop("job", "restore", "-n", "first"))["archived"] is False
    ok(doubleloop("job", "cancel", "-n", "first"))
    assert doubleloop("component", "list", "-o", "json").json == []
    assert "classical" in doubleloop("component", "list", "--catalog").out
    shown = doubleloop("component", "show", "--catalog", "-n", "binary_classification", "-o", "json").json
    assert shown["environment"].endswith("recipes-classical/labels/latest")
    assert ok(doubleloop("compute", "list"))[0]["name"] == "local"


def test_the_outer_loops_nouns(everybody: Any) -> None:
    doubleloop = everybody
    assert ok(doubleloop("online-endpoint", "create", "-n", "bikes", "--auth-mode", "key"))["name"] == "bikes"
    keys = ok(doubleloop("online-endpoint", "get-credentials", "-n", "bikes"))
    assert keys["primaryKey"] != keys["secondaryKey"]
    renewed = ok(doubleloop("online-endpoint", "regenerate-keys", "-n", "bikes", "--key-type", "primary"))
    assert renewed["primaryKey"] != keys["primaryKey"]
    assert renewed["secondaryKey"] == keys["secondaryKey"]
    refused = doubleloop("online-endpoint", "update", "-n", "bikes", "--traffic", "blue=100")
    assert refused.code in (2, 3, 5), refused.err
    assert ok(doubleloop("release", "waiting")) == []
    assert ok(doubleloop("rule", "list")) == []
    assert ok(doubleloop("schedule", "list")) == []
    assert ok(doubleloop("monitor", "list")) == []
    assert doubleloop("release", "show", "-n", "none").code == 3
    ok(doubleloop("online-endpoint", "delete", "-n", "bikes", "--yes"))
    assert ok(doubleloop("online-endpoint", "list")) == []


def test_who_may_do_what_and_the_record_of_it(everybody: Any) -> None:
    doubleloop = everybody
    refused = doubleloop("user", "create", "-n", "eve", "--no-password")
    assert refused.code == 4
    assert "identity.write" in refused.err
    ok(doubleloop("user", "create", "-n", "eve", "--no-password", "--user", "admin"))
    assert "eve" in ok(doubleloop("user", "list", "--user", "admin", "--query", "[].name"))
    assert ok(doubleloop("user", "show", "--user", "grace"))["groups"][0]["persona"] == "project_lead"
    explained = ok(doubleloop("role", "explain", "release.approve", "--who", "grace", "-w", "prod", "--user", "admin"))
    assert explained["allowed"] is True
    assert ok(doubleloop("audit", "verify", "--user", "grace"))["whole"] is True
    types = ok(doubleloop("audit", "list", "--user", "admin", "--query", "[].type", "-r", "200"))
    assert {"user.created", "access.denied", "workspace.created"} <= set(types)
    ok(doubleloop("logout"))
    assert doubleloop("user", "show", "--user", "grace").code == 0
    assert doubleloop("user", "show").code == 3


def test_the_examples_definitions_are_kept(everybody: Any) -> None:
    if not (BIKES / "files").exists() and not (BIKES / "data").exists():
        pytest.skip("the example is not there")
    doubleloop = everybody
    ok(doubleloop("apply", "-f", str(BIKES / "setup.yml"), "--user", "admin"))
    kept = ok(doubleloop("release", "create", "-f", str(BIKES / "release.yml"), "--user", "admin"))
    assert kept["name"] in ok(doubleloop("release", "definitions", "--user", "admin", "--query", "[].name"))
