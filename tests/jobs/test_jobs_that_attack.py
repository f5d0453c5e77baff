"""What a job's command or file may try: to have the server read for it what it may not have, or to be somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.jobs.model import Status
from doubleloop.settings.model import Settings

JOB = """
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: >-
  {command}
environment: azureml:base@latest
outputs: {{stolen: {{type: {type}}}}}
"""


@pytest.fixture
def secret(shop: Workshop) -> Path:
    place: Path = shop.house.home / "keys" / "secret.key"
    place.parent.mkdir()
    place.write_text("the key of the house")
    return place


@pytest.mark.parametrize(
    ("type_", "command"),
    [
        ("uri_file", "ln -s {secret} ${{{{outputs.stolen}}}}"),
        ("uri_folder", "rmdir ${{{{outputs.stolen}}}} && ln -s {folder} ${{{{outputs.stolen}}}}"),
        ("uri_folder", "ln -s {secret} ${{{{outputs.stolen}}}}/key"),
        ("uri_folder", "ln -s {folder} ${{{{outputs.stolen}}}}/folder"),
        ("uri_folder", "ln -s / ${{{{outputs.stolen}}}}/everything"),
    ],
)
def test_an_output_that_is_a_link_to_elsewhere_fails_the_step(
    shop: Workshop, secret: Path, type_: str, command: str
) -> None:
    written = command.format(secret=secret, folder=secret.parent).replace("{{{{", "{{").replace("}}}}", "}}")
    job = shop.run(JOB.format(command=written, type=type_))
    assert job.status is Status.FAILED
    assert "a link to a place outside" in job.error
    assert "stolen" not in job.outputs


@pytest.mark.parametrize("name", ["outputs", "logs"])
def test_what_every_job_leaves_is_not_read_through_a_link(shop: Workshop, secret: Path, name: str) -> None:
    text = JOB.format(command=f"rm -r {name} && ln -s {secret.parent} {name}", type="uri_folder")
    job = shop.run(text)
    assert job.status is Status.COMPLETED
    assert "artifacts" not in job.outputs
    assert "are not kept" in shop.log(job.id) and "outside of the run" in shop.log(job.id)


def test_a_link_within_the_run_is_followed(shop: Workshop) -> None:
    command = "mkdir made && echo mine > made/x && rmdir ${{outputs.stolen}} && ln -s $PWD/made ${{outputs.stolen}}"
    job = shop.run(JOB.format(command=command, type="uri_folder"))
    assert shop.text(job.outputs["stolen"], "x") == "mine\n"


def test_tags_of_a_file_do_not_stand_for_what_the_system_knows(shop: Workshop) -> None:
    text = "tags: {doubleloop.user: grace, doubleloop.job: other, doubleloop.key: other/main/1, mine: yes}\n"
    job = shop.run(JOB.format(command="true", type="uri_folder") + text)
    tags = shop.tracking.runs[str(job.run_id)]["tags"]  # type: ignore[index]
    assert (tags["doubleloop.user"], tags["doubleloop.job"]) == ("ada", job.id)
    assert tags["doubleloop.key"].startswith(job.id)


@pytest.mark.parametrize("place", ["", "keys", "..", "datastores/staging", "datastores"])
def test_a_datastore_does_not_open_the_installations_own_files(house: Any, place: str) -> None:
    root = (house.home / place).resolve()
    root.mkdir(parents=True, exist_ok=True)
    with pytest.raises(errors.NotPermitted), house.write("service:setup") as ctx:
        data.put_datastore(ctx, "own", {"type": "local", "path": str(root)})
    (house.home.parent / "link").symlink_to(root)
    with pytest.raises(errors.NotPermitted), house.write("service:setup") as ctx:
        data.put_datastore(ctx, "own", {"type": "local", "path": str(house.home.parent / "link")})


def test_a_link_that_is_laid_after_the_datastore_was_named_gains_nothing(house: Any, tmp_path: Path) -> None:
    outside = tmp_path / "lake"
    outside.mkdir()
    with house.write("service:setup") as ctx:
        data.put_datastore(ctx, "lake", {"type": "local", "path": str(outside)})
    (house.home / "secret.key").write_text("the key of the house")
    (outside / "folder").symlink_to(house.home)
    for path in ("folder/secret.key", "folder", "../home/secret.key"):
        with pytest.raises(errors.InvalidInput, match="leads out"):
            data.keep(house.contexts, house.actor("ada"), "dev", f"azureml://datastores/lake/paths/{path}")
    (outside / "folder").unlink()
    outside.rmdir()
    outside.symlink_to(house.home)
    with pytest.raises(errors.NotPermitted):
        data.keep(house.contexts, house.actor("ada"), "dev", "azureml://datastores/lake/paths/secret.key")


def test_datastores_may_be_kept_to_some_folders(house: Any, tmp_path: Path) -> None:
    (tmp_path / "lake" / "a").mkdir(parents=True)
    house.ports[Settings] = Settings(home=house.home, datastore_roots=str(tmp_path / "lake"))
    with house.write("service:setup") as ctx:
        data.put_datastore(ctx, "lake", {"type": "local", "path": str(tmp_path / "lake" / "a")})
        with pytest.raises(errors.NotPermitted, match="outside of the folders"):
            data.put_datastore(ctx, "other", {"type": "local", "path": "/etc"})
