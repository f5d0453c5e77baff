"""``doubleloop data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session


@click.group("data", cls=tree.Verbs)
def GROUP() -> None:
    """Data assets and their versions."""


asset.add(GROUP, "data")
# The name it has in SPECS; `label` is the same verb.
GROUP.add_command(GROUP.commands["label"], "set-label")


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@click.option("--path", metavar="PATH", help="File, folder or address.")
@click.option("-t", "--type", "type_", metavar="TYPE", help="uri_file, uri_folder or mltable.")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option("-l", "--label", metavar="LABEL", help="Label the new version at once.")
@click.option("--tags", multiple=True, metavar="KEY=VALUE", help="Free labels.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None, path: str | None,
    type_: str | None, description: str | None, label: str | None, tags: tuple[str, ...],
) -> Any:  # fmt: skip
    """A new version: from a file, or from --name, --path and --type. The same content again is the same version."""
    from doubleloop.cli import files

    document = files.read(
        session, file, "data", [*options.pairs(sets, "--set"), *options.tags(tags)], name=name, version=version,
        path=path, type=type_, description=description,
    )  # fmt: skip
    return session.workspace.data.create(files.ship(session, document), label)
