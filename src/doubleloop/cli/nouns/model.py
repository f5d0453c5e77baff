"""``doubleloop model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Version", "version"),
    output.Column("Flavor", "flavor"),
    output.Column("Labels", "labels"),
    output.Column("Job", "job"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)


@click.group("model", cls=tree.Verbs)
def GROUP() -> None:
    """Registered models."""


asset.add(GROUP, "models", ("list", "show", "archive", "restore", "share", "update"), _COLUMNS)


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@click.option("-p", "--path", metavar="PATH", help="File or folder, azureml://jobs/J/outputs/O, or runs:/RUN/PATH.")
@click.option("-t", "--type", "type_", metavar="TYPE", help="mlflow_model or custom_model.")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None, path: str | None,
    type_: str | None, description: str | None, tags: tuple[str, ...],
) -> Any:  # fmt: skip
    """Register a version of a model; a release that waits for one starts."""
    from doubleloop.cli import files

    document = files.read(
        session, file, "model", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name, version=version,
        path=path, type=type_, description=description,
    )  # fmt: skip
    return session.workspace.models.create(files.ship(session, document))


@GROUP.command("package", cls=options.Verb, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def package(words: tuple[str, ...]) -> None:
    """Models are not packed into images here; this says what to do instead."""
    raise errors.NotSupported(
        "A model package is a container image, and none are built here",
        cure="Deploy the model with its environment (`doubleloop online-deployment create`): that is built and cached "
        "once. To carry both elsewhere, use a bundle: `doubleloop registry pack`.",
    )


@GROUP.command("download", cls=options.Verb)
@options.name()
@options.version()
@click.option("-p", "--download-path", "target", metavar="FOLDER", default=".", help="Where to  [default: here]")
@options.shared()
def download(session: Session, name: str, version: str | None, label: str | None, target: str) -> Any:
    """The model's files, into FOLDER/NAME. What is there already and right is kept."""
    plain, wanted = options.asset(session, name, version, label)
    found = session.workspace.models.show(plain, wanted)
    folder = Path(target) / plain
    folder.mkdir(parents=True, exist_ok=True)
    session.client.blobs.fetch(str(found["path"]), folder, session.progress.bytes("Downloading"), plain)
    return {"name": plain, "version": found["version"], "path": str(folder)}
