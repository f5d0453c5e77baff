"""After a real job and a real deployment have used a secret, its value is in no file of the home and in no command."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e_installation import Installation

from doubleloop.base import masking

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

VALUE = 'sw/ord+fish "9" & ünique-value='
SETUP = """$schema: doubleloop/setup
workspaces: [{name: dev, kind: preproduction}]
users: [{name: ada}]
groups: [{name: science, persona: data_scientist, members: [ada]}]
"""
ENVIRONMENT = "{image: python, conda_file: {dependencies: [python=3.11]}}"
JOB = f"""$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
code: ./code
command: python main.py
environment: {ENVIRONMENT}
environment_variables: {{PASSWORD: "${{{{secrets.warehouse}}}}"}}
"""
MAIN = """
import base64, hashlib, json, os, sys, time, urllib.parse
value = os.environ["PASSWORD"]
for letter in value:
    os.write(1, letter.encode())
print("", base64.b64encode(value.encode()).decode(), urllib.parse.quote(value), json.dumps(value), file=sys.stderr)
print("sha256", hashlib.sha256(value.encode()).hexdigest(), flush=True)
time.sleep(1)
sys.exit("it ended with " + value)
"""
SCORE = """
import hashlib, os
def init():
    print("logging in with", os.environ["PASSWORD"], flush=True)
def run(raw_data):
    if "fail" in raw_data:
        raise ValueError("no login with " + os.environ["PASSWORD"])
    return hashlib.sha256(os.environ["PASSWORD"].encode()).hexdigest()
"""
DEPLOYMENT = f"""$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
name: blue
endpoint_name: shop
model: {{path: ./model}}
code_configuration: {{code: ./code, scoring_script: score.py}}
environment: {ENVIRONMENT}
environment_variables: {{PASSWORD: "${{{{secrets.warehouse}}}}"}}
instance_count: 1
"""


def forms() -> list[bytes]:
    """The value as it is, as JSON and URLs write it, in Base64 alone or within something longer."""
    found: list[bytes] = masking.forms(VALUE)
    assert len(found) > 5
    return found


def holding(home: Path) -> list[str]:
    wanted = forms()
    files = [each for each in home.rglob("*") if each.is_file() and not each.is_symlink()]
    assert {"doubleloop.sqlite", "desired.json", "secret.key"} <= {each.name for each in files}
    return [str(each) for each in files if any(form in content(each) for form in wanted)]


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a temporary one
        return b""


@contextmanager
def watched() -> Iterator[set[str]]:
    """The commands of all processes, looked at again and again: those that hold the value."""
    wanted, found, over = forms(), set[str](), threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    command = place.read_bytes()
                except OSError:
                    continue
                if any(form in command for form in wanted):
                    found.add(command.replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    over.set()
    thread.join()


def test_no_file_and_no_command_has_the_value(installation: Installation, tmp_path: Path) -> None:
    ada: dict[str, Any] = {"user": "ada", "workspace": "dev"}
    texts = {"setup.yml": SETUP, "job.yml": JOB, "deployment.yml": DEPLOYMENT, "code/main.py": MAIN,
             "code/score.py": SCORE, "model/weights": "w"}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    digest = hashlib.sha256(VALUE.encode()).hexdigest()
    with watched() as commands:
        installation("apply", "-f", tmp_path / "setup.yml")
        installation.log_in("ada")
        installation("secret", "set", "warehouse", "--value-stdin", workspace="dev", stdin=VALUE)
        done = installation("job", "create", "-f", tmp_path / "job.yml", "-n", "reads", "--stream", code=1, **ada)
        log = done.out + done.err
        assert f"sha256 {digest}" in log
        assert log.count("***") >= 4, log
        installation("online-endpoint", "create", "-n", "shop", **ada)
        installation("online-deployment", "create", "-f", tmp_path / "deployment.yml", "--all-traffic", **ada)
        asked = ("online-endpoint", "invoke", "-n", "shop", "-r", "-")
        assert digest in installation(*asked, stdin="{}", **ada).out
        failed = installation.run(*asked, "--user", "ada", "-w", "dev", stdin='{"fail": 1}')
        assert failed.code and VALUE not in failed.err + failed.out
    assert commands == set()
    assert holding(installation.home) == []
    installation.down()
    assert holding(installation.home) == []
