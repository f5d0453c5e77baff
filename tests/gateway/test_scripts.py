"""Scoring scripts: the contract of Azure ML's inference server, and what goes wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_harness import Client, Gateway, deployment, endpoint, wait_for

from doubleloop.gateway import log, protocol

Script = Callable[..., protocol.Deployment]

# Its gateway and scorers start within the first test.
pytestmark = pytest.mark.timeout(600)

KINDS = """
import decimal, json, os, sys
import helper

def init():
    global facts
    facts = {
        "cwd": os.getcwd(), "model": sorted(os.listdir(os.environ["AZUREML_MODEL_DIR"])), "name": os.environ["NAME"],
        "threads": os.environ["OMP_NUM_THREADS"], "helper": helper.WORD, "secret": os.environ.get("OUR_SECRET"),
        "inner": open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "folder", "weights.txt")).read(),
    }

def run(raw_data):
    assert isinstance(raw_data, str)
    kind = json.loads(raw_data)["kind"]
    if kind == "facts":
        return facts
    if kind == "text":
        return "hello\\n\\u00e4"
    if kind == "none":
        return None
    if kind == "nan":
        return [float("nan"), float("inf"), 1.5]
    if kind == "numpy":
        import numpy
        return {"a": numpy.arange(3), "b": numpy.float32(0.5), "c": numpy.bool_(True)}
    if kind == "frame":
        import pandas
        return pandas.DataFrame({"x": [1, 2], "y": ["a", None]})
    if kind == "object":
        return object()
    raise KeyError(kind)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    for name, text in (
        ("code/sub/score.py", KINDS), ("code/helper.py", "WORD = 'from the code folder'"),
        # Names of the scorer's own files must not be found instead of the user's, nor the other way round.
        ("code/wire.py", "raise RuntimeError('never imported')"),
        ("store/folder/weights.txt", "w"), ("store/something-else.txt", ""),
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path, script: Script, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("scripts") / "home").start()
    kinds = deployment(
        "dep-kinds", folder / "store" / "folder", kind="script", code_dir=str(folder / "code"),
        scoring_script="sub/score.py", environment_variables={"NAME": "given"},
    )  # fmt: skip
    try:
        gateway.want({"shop/kinds": endpoint({"blue": kinds}), "shop/sums": endpoint({"blue": script("dep-sums")})})
        yield gateway
        assert gateway.stop() == 0
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    client = served.client()
    yield client
    client.close()


def test_the_script_finds_its_code_model_and_environment(client: Client, folder: Path) -> None:
    facts = client.score("shop/kinds", {"kind": "facts"}).json
    assert facts == {
        "cwd": str(folder / "code"), "model": ["folder"], "name": "given", "threads": "1",
        "helper": "from the code folder", "secret": None, "inner": "w",
    }  # fmt: skip
    assert not list(folder.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", "hello\nä"),
        ("none", None),
        ("nan", [None, None, 1.5]),
        ("numpy", {"a": [0, 1, 2], "b": 0.5, "c": True}),
        ("frame", [{"x": 1, "y": "a"}, {"x": 2, "y": None}]),
    ],
)
def test_what_run_returns_becomes_json(kind: str, expected: object, client: Client) -> None:
    answer = client.score("shop/kinds", {"kind": kind})
    assert (answer.status, answer.json) == (200, expected)


def test_what_has_no_json_form_is_an_error(client: Client) -> None:
    answer = client.score("shop/kinds", {"kind": "object"})
    assert answer.status == 500
    assert "builtins.object, which has no JSON form" in answer.error["message"]


def test_an_error_in_run_is_told_and_logged(served: Gateway, client: Client) -> None:
    answer = client.score("shop/sums", {"raise": "no such station"})
    assert answer.status == 500
    assert "the model raised ValueError: no such station" in answer.error["message"]
    served.admin().flush()
    row = log.read(served.home, "shop", "sums").row(0, named=True)
    assert (row["request_id"], row["status"]) == (answer.request_id, 500)
    assert "no such station" in row["error"]
    assert "ValueError" in (served.home / "serving/scorers/dep-sums/scorer.log").read_text()


def test_a_script_needs_json_too(client: Client) -> None:
    assert client.score("shop/sums", b"1;2;3").status == 400
    assert client.score("shop/sums", b"").status == 400
    assert client.score("shop/sums", {"data": [[1, 2]]}, content_type="text/plain").status == 415
    assert client.score("shop/sums", {"data": [[1, 2]]}).json == [3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def init(): pass", "does not define a function run()"),
        ("def init(): raise OSError('no weights')\ndef run(data): return 1", "OSError: no weights"),
        ("def init(): pass\ndef run(): return 1", "takes no argument"),
        ("import os\nos._exit(3)", "exit code 3 before its model was ready"),
        ("import sys\nprint('bye'); sys.exit(0)", "SystemExit"),
        ("def init(:", "SyntaxError"),
    ],
)
def test_a_script_that_cannot_start_is_reported(
    text: str, words: str, served: Gateway, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(text)
    broken = script(f"dep-{tmp_path.name}", code_dir=str(tmp_path))
    before = protocol.read_desired(served.home)
    assert before is not None
    served.want({**before.endpoints, "shop/broken": endpoint({"blue": broken})}, converge=False)

    def failed() -> protocol.DeploymentStatus | None:
        found = served.applied().endpoints["shop/broken"].deployments["blue"]
        return found if found.id == broken.id and found.state == "failed" else None

    status = wait_for(failed, "the failure")
    assert words in status.error
    assert served.client().score("shop/broken", {"data": [[1]]}).status == 503
