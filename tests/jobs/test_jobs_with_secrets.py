"""Secrets of jobs: named in files, there in the command's environment, and nowhere else, whatever it prints."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import actors, errors
from doubleloop.jobs.model import Status
from doubleloop.secrets.local import FileKeys
from doubleloop.vault import commands as vault
from doubleloop.vault import fernet
from doubleloop.vault import ports as vault_ports

VALUE = "correct-horse-battery-staple"
ADA = actors.Actor("ada")

PIECES = """
import os, sys, time, base64, urllib.parse
value = os.environ["PASSWORD"]
for letter in value:
    os.write(1, letter.encode())
    time.sleep(0.002)
os.write(1, b"\\n")
os.write(2, b"error: " + value[:9].encode()); os.write(1, value[9:].encode() + b" is wrong\\n")
print(base64.b64encode(("user:" + value).encode()).decode())
print(urllib.parse.quote("/" + value), repr(value), len(value), "hash", hash(1))
sys.exit(3 if "fail" in sys.argv else 0)
"""


@pytest.fixture
def safe(shop: Workshop) -> Workshop:
    keys = fernet.LocalKeys((), FileKeys(shop.house.home / "secret.key").derive)
    shop.house.ports[vault_ports.Safe] = fernet.SealedSafe(keys)
    put(shop)
    return shop


def put(shop: Workshop, value: str = VALUE, workspace: str = "dev") -> None:
    vault.put(shop.contexts, ADA, workspace, "warehouse", value)


def job(command: str, reference: str = "${{secrets.warehouse}}", more: str = "") -> str:
    return f"""
        $schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
        command: {command}
        environment: azureml:base@latest
        environment_variables: {{PASSWORD: "{reference}", OTHER: plain}}
        {more}
    """


def holding(home: Path, value: str) -> list[str]:
    forms = (value.encode(), base64.b64encode(value.encode()).rstrip(b"="))
    found = [each for each in home.rglob("*") if each.is_file() and not each.is_symlink()]
    return [str(each) for each in found if any(form in each.read_bytes() for form in forms)]


def test_a_job_prints_its_secret_in_pieces_and_nothing_at_rest_has_it(safe: Workshop, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text(PIECES)
    for words, status in (("main.py", Status.COMPLETED), ("main.py fail", Status.FAILED)):
        ended = safe.run(job(f"python {words} && test $OTHER = plain", more="code: ./code"), folder=tmp_path)
        log = safe.log(ended.id)
        assert ended.status is status, log
        assert log.count("***") == 5
        assert "*** is wrong" in log
        assert VALUE[:8] not in log
        assert f"{len(VALUE)} hash 1" in log
    assert (safe.house.home / "doubleloop.sqlite-wal").exists()
    assert list((safe.house.home / "runs").rglob("job.json"))
    assert holding(safe.house.home, VALUE) == []


def test_the_command_has_the_value_and_the_run_folder_the_name(safe: Workshop) -> None:
    ended = safe.run(job("printf %s $PASSWORD | sha256sum"))
    assert hashlib.sha256(VALUE.encode()).hexdigest() in safe.log(ended.id)
    (asked,) = (safe.house.home / "runs").rglob("job.json")
    assert '"PASSWORD"' in asked.read_text()
    assert [fact.data["to"] for fact in safe.facts("secret.given")] == [f"step:{ended.id}/command"]


def test_a_version_is_what_it_says_and_the_newest_otherwise(safe: Workshop) -> None:
    put(safe, "another-value-altogether")
    for reference, length in (("${{secrets.warehouse@1}}", 28), ("${{ secrets.warehouse }}", 24)):
        ended = safe.run(job("echo ${#PASSWORD} letters", reference))
        assert f"{length} letters" in safe.log(ended.id)


@pytest.mark.parametrize(
    ("reference", "kind", "said"),
    [
        ("${{secrets.nothing}}", errors.NotFound, "There is no secret nothing in dev"),
        ("${{secrets.warehouse@7}}", errors.NotFound, "no version 7"),
        ("Bearer ${{secrets.warehouse}}", errors.InvalidInput, "must be the whole value"),
        ("${{secrets.staging.warehouse}}", errors.InvalidInput, "must be the whole value"),
    ],
)
def test_a_reference_to_nothing_is_told_at_once_with_its_line(
    safe: Workshop, reference: str, kind: type[errors.DoubleloopError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        safe.submit(job("date", reference))
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.path) == (5, "environment_variables.PASSWORD")


def test_a_secret_of_another_workspace_cannot_be_named(safe: Workshop) -> None:
    vault.delete(safe.contexts, ADA, "dev", "warehouse")
    put(safe, workspace="staging")
    with pytest.raises(errors.NotFound, match="There is no secret warehouse in dev"):
        safe.submit(job("date"))


def test_a_secret_destroyed_before_the_step_starts_fails_it_with_the_reason(safe: Workshop) -> None:
    waiting = safe.submit(job("date"))
    vault.delete(safe.contexts, ADA, "dev", "warehouse")
    safe.engine.run()
    ended = safe.job(waiting.id)
    assert ended.status is Status.FAILED
    assert "There is no secret warehouse in dev" in ended.error


def test_a_key_that_is_lost_fails_the_step_and_says_so(safe: Workshop) -> None:
    (safe.house.home / "secret.key").unlink()
    ended = safe.run(job("echo not reached"))
    assert ended.status is Status.FAILED
    assert "Secret warehouse of dev cannot be opened" in ended.error
    assert "not reached" not in safe.log(ended.id)


PIPELINE = """
    $schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
    type: pipeline
    jobs:
      load:
        command: echo ${#PASSWORD} > ${{outputs.length}}; echo $PASSWORD
        environment: azureml:base@latest
        environment_variables: {PASSWORD: "${{secrets.warehouse}}"}
        outputs: {length: {type: uri_file}}
"""


def test_a_step_is_run_again_for_a_new_version_and_only_then(safe: Workshop) -> None:
    lengths = []
    for value in ("", "", "a-new-one"):
        if value:
            put(safe, value)
        ended = safe.run(PIPELINE)
        step = safe.steps(ended.id)["load"]
        lengths.append((safe.text(step.outputs["length"]).strip(), bool(step.reused_from)))
    assert lengths == [("28", False), ("28", True), ("9", False)]


def test_the_line_of_a_steps_variable_is_named(safe: Workshop) -> None:
    with pytest.raises(errors.NotFound) as caught:
        safe.submit(PIPELINE.replace("secrets.warehouse", "secrets.other"))
    assert caught.value.where is not None
    assert caught.value.where.path == "jobs.load.environment_variables.PASSWORD"
