"""Which commit code is from: asked of a real git, and carried along to where authors are kept from approving."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from doubleloop.sdk import client as clients
from doubleloop.sdk import commits
from doubleloop.sdk import documents as shipping
from doubleloop.specs import documents

AUTHOR = {
    "GIT_AUTHOR_NAME": "Grace Hopper", "GIT_AUTHOR_EMAIL": "grace@example.org", "GIT_COMMITTER_NAME": "Robot",
    "GIT_COMMITTER_EMAIL": "robot@example.org", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip
JOB = "type: command\ncommand: python train.py\ncode: src\nenvironment: azureml:e:1\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], env={**os.environ, **AUTHOR}, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "train.py").write_text("print(1)")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", "https://ada:token@example.org/bikes.git")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Train\n\nCo-authored-by: Linus <linus@example.org>")
    return folder


def test_the_commit_and_who_wrote_it(repository: Path) -> None:
    (found,) = commits.of([repository / "src", repository / "src" / "train.py"])
    assert (found.hash, found.branch, found.changed) == (git(repository, "rev-parse", "HEAD"), "main", False)
    assert found.repository == "https://example.org/bikes.git", "without the password of the address"
    assert found.people == (
        ("Grace Hopper", "grace@example.org"), ("Robot", "robot@example.org"), ("Linus", "linus@example.org"),
    )  # fmt: skip


def test_only_changes_of_the_code_itself_count(repository: Path) -> None:
    (repository / "notes.txt").write_text("elsewhere")
    assert not commits.of([repository / "src"])[0].changed
    (repository / "src" / "train.py").write_text("print(2)")
    assert commits.of([repository / "src"])[0].changed


def test_what_is_in_no_repository_or_one_without_a_commit_has_none(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert commits.of([tmp_path / "plain"]) == ()
    git(tmp_path / "plain", "init", "-q")
    assert commits.of([tmp_path / "plain"]) == ()


def test_a_repositorys_own_programs_are_not_run(repository: Path, tmp_path: Path) -> None:
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    assert len(commits.of([repository / "src"])) == 1
    assert not (tmp_path / "ran").exists()


def test_a_machine_without_git_says_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commits.of([repository / "src"]) == ()


def test_it_goes_along_with_the_file_and_with_every_part_of_it(client: clients.Client, repository: Path) -> None:
    (repository / "job.yml").write_text(JOB)
    wire = shipping.ship(client.blobs, documents.load(repository / "job.yml"))
    arrived = documents.from_wire(wire)
    assert [each.hash for each in arrived.source.commits] == [git(repository, "rev-parse", "HEAD")]
    assert arrived.to_wire() == wire
    schedule = "$schema: x/schedule.schema.json\nname: s\ntrigger: {type: cron, expression: '0 0 * * *'}\n"
    schedule += "create_job: job.yml\n"
    (repository / "schedule.yml").write_text(schedule)
    whole = documents.from_wire(shipping.ship(client.blobs, documents.load(repository / "schedule.yml")))
    job = documents.scheduled_job(whole)
    assert isinstance(job, documents.Document) and job.source.commits == arrived.source.commits


@pytest.mark.parametrize("change", [{"hash": "HEAD"}, {"people": "x"}, {"people": [["a"]]}, {"hash": None}])
def test_what_is_no_commit_is_refused(client: clients.Client, repository: Path, change: dict[str, object]) -> None:
    (repository / "job.yml").write_text(JOB)
    wire = shipping.ship(client.blobs, documents.load(repository / "job.yml"))
    wire["source"]["commits"][0].update(change)
    with pytest.raises(documents.errors.InvalidInput, match="not a document"):
        documents.from_wire(wire)
