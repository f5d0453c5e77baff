"""Bad input of every kind, given to the program itself: a clear error each time, what, where and how to mend it.

What is tested more closely by a room's own tests is said beside each.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from e2e_installation import Done, Installation, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETUP = """$schema: doubleloop/setup
workspaces: [{name: dev, kind: preproduction}, {name: prod, kind: production}]
users: [{name: ada}, {name: grace}, {name: joan}]
groups:
  - {name: science, persona: data_scientist, members: [ada]}
  - {name: delivery, persona: cicd_process, members: [joan]}
  - {name: leads, persona: project_lead, members: [grace, joan]}
"""
RELEASE = """$schema: doubleloop/release
name: answers
model: azureml:answers
stages:
  - workspace: prod
    approval: {personas: [project_lead], count: 1}
"""
# An MLflow model without a training: it says how far x is from zero, and dies on purpose when asked for 666.
MLMODEL = """flavors:
  python_function:
    code: code
    env: {conda: conda.yaml}
    loader_module: answers
    python_version: 3.11.0
model_uuid: 0123456789abcdef0123456789abcdef
mlflow_version: 2.9.2
utc_time_created: '2026-01-01 00:00:00.000000'
"""
SIGNATURE = """signature:
  inputs: '[{"name": "x", "type": "double"}, {"name": "kind", "type": "string"}]'
  outputs: '[{"type": "double"}]'
  params: null
"""
CONDA = """dependencies:
  - python=3.11
  - pip: [mlflow-skinny==2.9.2, numpy==1.26.4, pandas==2.2.3, setuptools<81]
"""
CODE = """
class Answers:
    def predict(self, data, params=None):
        return [abs(value) for value in data["x"]]

def _load_pyfunc(path):
    return Answers()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all of them, with a model that is served in dev."""
    folder = tmp_path_factory.mktemp("bad-input")
    api, gateway = free_ports()
    made = Installation(folder / "home", api, gateway, {"DOUBLELOOP_STEP_QUOTA": str(50 << 20)})
    made.up()
    try:
        (folder / "setup.yml").write_text(SETUP)
        made("apply", "-f", folder / "setup.yml")
        made.log_in("ada", "grace", "joan")
        yield made
    finally:
        made.down()


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(name: str, text: str) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


def says(done: Done, *words: str) -> None:
    for word in words:
        assert word in done.err, done.err


JOB = """$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: >-
  {command}
environment:
  image: python
  conda_file: {{dependencies: [python=3.11]}}
"""


def test_an_unknown_field_is_named_with_its_line_and_what_is_near(running: Installation, write: Any) -> None:
    file = write("job.yml", JOB.format(command="echo hi") + "displayname: x\n")
    done = running("job", "create", "-f", file, user="ada", workspace="dev", code=2)
    says(done, "displayname", f"{file}:7", "display_name")


def test_a_missing_asset_is_named_with_what_is_near(running: Installation, write: Any) -> None:
    data = write("rides.csv", "a\n1\n")
    running("data", "create", "-n", "rides", "-t", "uri_file", "--path", data, user="ada", workspace="dev")
    job = JOB.format(command="cat ${{inputs.rides}}") + "inputs: {rides: {type: uri_file, path: azureml:ride@latest}}\n"
    file = write("job.yml", job)
    done = running("job", "create", "-f", file, user="ada", workspace="dev", code=3)
    says(done, "azureml:ride@latest", f"{file}:7", "rides")
    done = running("data", "show", "rides:9", user="ada", workspace="dev", code=3)
    says(done, "rides has: 1")
    file = write("gone.yml", JOB.format(command="x") + "code: nowhere\n")
    says(running("job", "create", "-f", file, user="ada", workspace="dev", code=2), "nowhere", f"{file}:7")


def test_a_cycle_in_a_pipeline_is_named(running: Installation, write: Any) -> None:
    step = """
  {name}:
    type: command
    command: echo ${{{{inputs.i}}}} > ${{{{outputs.o}}}}/x
    environment: {{image: python}}
    inputs: {{i: "${{{{parent.jobs.{other}.outputs.o}}}}"}}
    outputs: {{o: {{type: uri_folder}}}}"""
    text = "type: pipeline\njobs:" + "".join(step.format(name=n, other=o) for n, o in (("a", "b"), ("b", "a")))
    file = write("pipeline.yml", text)
    for verb in ("create", "validate"):
        done = running("job", verb, "-f", file, user="ada", workspace="dev", code=2)
        says(done, "cycle", str(file), "a", "b")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo before; exit 1", ("exited with code 1",)),
        ("kill -9 $$", ("signal 9", "SIGKILL")),
        ("head -c 200000000 /dev/zero > big", ("quota", "50")),
        ("echo done; true", ("report", "output")),
    ],
    ids=["exits 1", "is killed", "fills its quota", "leaves out an output"],
)
def test_a_step_that_comes_to_a_bad_end_says_which(
    running: Installation, write: Any, command: str, words: tuple[str, ...]
) -> None:
    text = JOB.format(command=command)
    if "report" in words:
        text += "outputs: {report: {type: uri_file}}\n"
    done = running("job", "create", "-f", write("job.yml", text), "--stream", user="ada", workspace="dev", code=1)
    assert any(word in done.err for word in words[:2]), done.err
    job = running("job", "list", "-o", "json", user="ada", workspace="dev").json[0]
    assert job["status"] == "failed"
    assert any(word in job["error"]["message"] for word in words), job["error"]


def deploy(running: Installation, write: Any, name: str, mlmodel: str, code: int = 0) -> Done:
    write("model/MLmodel", mlmodel)
    write("model/conda.yaml", CONDA)
    folder = write("model/code/answers.py", CODE).parents[1]
    running("model", "create", "-n", name, "-p", folder, "-t", "mlflow_model", user="ada", workspace="dev")
    running("online-endpoint", "create", "-n", name, user="ada", workspace="dev")
    file = write(
        "deployment.yml",
        f"""$schema: x/managedOnlineDeployment.schema.json
name: blue
endpoint_name: {name}
model: azureml:{name}@latest
instance_count: 1
""",
    )
    return running("online-deployment", "create", "-f", file, "--all-traffic", user="ada", workspace="dev", code=code)


def test_a_model_without_a_signature_is_served_unchecked_and_says_so(running: Installation, write: Any) -> None:
    """Through a release it gets the signature of its hold-out: tests/releases, tests/e2e/test_taxi_template.py."""
    found = deploy(running, write, "unsigned", MLMODEL).json
    assert (found["status"], found["signed"]) == ("ready", False)
    assert "without a signature" in found["unchecked"]


@pytest.fixture(scope="module")
def served(running: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("served")

    def put(name: str, text: str) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        return folder / name

    assert deploy(running, put, "answers", MLMODEL + SIGNATURE).json["signed"] is True
    return running


def ask(served: Installation, body: str, code: int) -> Done:
    return served(
        "online-endpoint", "invoke", "-n", "answers", "-r", "-", user="ada", workspace="dev", stdin=body, code=code
    )


def rows(columns: list[str], *data: list[Any]) -> str:
    return json.dumps({"input_data": {"columns": columns, "data": data}})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("not json", ("JSON",)),
        ("", ("empty", "JSON", "body")),
        ("[1, 2", ("JSON",)),
        (json.dumps({"input_data": {"columns": ["x"], "data": [[1.0]]}}), ("kind",)),
        (json.dumps({"input_data": {"columns": ["x", "kinds"], "data": [[1.0, "a"]]}}), ("kind",)),
        (json.dumps({"input_data": {"columns": ["x", "kind"], "data": [["far", "a"]]}}), ("x", "far")),
        (json.dumps({"input_data": {"columns": ["x", "kind"], "data": [[1.0, "a", 2]]}}), ("row", "column")),
        (json.dumps({"input_data": {"columns": ["x", "kind"], "data": [[1.0, 5]]}}), ("kind",)),
        (json.dumps({"inputs_data": []}), ("input_data",)),
        (json.dumps({"input_data": [[1.0]]}), ("column", "value")),
    ],
)
def test_a_request_of_the_wrong_shape_or_type_names_the_column(
    served: Installation, body: str, words: tuple[str, ...]
) -> None:
    """Every type and shape: tests/gateway/test_payloads.py, test_column_types.py."""
    done = ask(served, body, 2)
    assert any(word in done.err for word in words), done.err


def test_a_right_request_is_answered_whatever_the_order_of_its_columns(served: Installation) -> None:
    assert ask(served, rows(["x", "kind"], [-2.5, "a"]), 0).json == [2.5]
    assert ask(served, rows(["kind", "x"], ["a", -2.5]), 0).json == [2.5]


def test_a_request_that_is_too_large_is_told_the_limit(served: Installation) -> None:
    done = ask(served, rows(["x", "kind"], [1.0, "a" * (70 << 20)]), 2)
    assert "limit" in done.err or "large" in done.err, done.err[-500:]


def test_two_applies_at_once_are_one_after_the_other(running: Installation, write: Any) -> None:
    """One makes it so, the other finds nothing to change, or is told that it was overtaken: tests/setups."""
    file = write("setup.yml", SETUP.replace("[{name: dev,", "[{name: more, kind: preproduction}, {name: dev,"))
    found: list[Done] = []

    def apply() -> None:
        found.append(running.run("apply", "-f", file, "--user", "admin", "-o", "json"))

    threads = [threading.Thread(target=apply) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {each.code for each in found} <= {0, 5}, [each.err for each in found]
    made = [each for each in found if each.code == 0 and '"create"' in each.out]
    assert len(made) == 1
    assert [each["name"] for each in running("workspace", "list", "-o", "json").json].count("more") == 1


def test_approvals_are_not_ones_own_not_twice_and_not_for_everybody(served: Installation, write: Any) -> None:
    """Every other way a decision can be wrong: tests/gates/test_approvals.py."""
    served("release", "create", "-f", write("release.yml", RELEASE), user="joan")
    id_ = served("release", "start", "answers", "-o", "json", user="joan").json["id"]
    served.follow_release(id_, "grace", ("waiting",))
    says(served("release", "approve", id_, "--yes", user="joan", code=4), "joan")
    says(served("release", "approve", id_, "--yes", user="ada", code=4), "ada")
    says(served("release", "approve", id_, "--yes", "--evidence-digest", "0" * 64, user="grace", code=5), "evidence")
    served("release", "approve", id_, "--yes", "-c", "fine", user="grace")
    served.follow_release(id_, "grace", ("completed",))
    says(served("release", "approve", id_, "--yes", user="grace", code=5), "decided already", "approved", "fine")
    found = served("release", "show", id_, "-o", "json", user="grace").json
    assert [each["user"] for each in found["stages"][0]["approval"]["given"]] == ["grace"]


def test_a_port_that_is_taken_is_named_with_the_flag_for_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        free, other = free_ports()
        for flags, word in (
            (("--port", str(port), "--gateway-port", str(other)), "--port"),
            (("--port", str(free), "--gateway-port", str(port)), "--gateway-port"),
        ):
            done = Installation(tmp_path / "home", free, other).run("up", "--detach", *flags)
            assert done.code == 6, done.err
            says(done, f"Port {port} on 127.0.0.1 cannot be used", word)


def test_a_home_of_a_newer_version_is_refused_and_left_as_it_is(running: Installation, tmp_path: Path) -> None:
    """A copy of the running one's. Also half-way through its migrations: tests/db/test_migrations.py."""
    api, gateway = free_ports()
    made = Installation(tmp_path / "home", api, gateway)
    made.home.mkdir()
    shutil.copy(running.home / "client.json", made.home)
    database = made.home / "doubleloop.sqlite"
    with closing(sqlite3.connect(running.home / database.name)) as whole, sqlite3.connect(database) as raw:
        whole.backup(raw)
        raw.execute("update alembic_version set version_num = '9999'")
        before = list(raw.iterdump())
    done = made.run("up", "--detach", "--port", str(api), "--gateway-port", str(gateway))
    assert done.code == 5, done.err
    says(done, "newer version of Doubleloop", "9999", "--home")
    with sqlite3.connect(database) as raw:
        assert list(raw.iterdump()) == before
