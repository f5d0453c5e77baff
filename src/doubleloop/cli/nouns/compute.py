"""``doubleloop compute``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Type", "type"),
    output.Column("State", "state"),
    output.Column("Slots", "slots"),
    output.Column("Busy", "busy"),
    output.Column("Queued", "queued"),
)


@click.group("compute", cls=tree.Verbs)
def GROUP() -> None:
    """Where jobs run."""


@GROUP.command("list", cls=options.Verb)
@click.option("-t", "--type", "type_", metavar="TYPE", help="Of one type.")
@options.shared()
def list_(session: Session, type_: str | None) -> output.Shown:
    """The computes of the workspace."""
    found = session.workspace.computes.list()
    return output.Shown(
        [each for each in found if type_ is None or str(each["type"]).lower() == type_.lower()], _COLUMNS
    )


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One compute."""
    return session.workspace.computes.show(name)


@GROUP.command("create", cls=options.Verb, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def create(words: tuple[str, ...]) -> None:
    """Computes are made by `doubleloop apply -f setup.yml`."""
    raise errors.NotSupported(
        "A compute is part of the setup file",
        cure="Add it under `computes:` and run `doubleloop apply -f setup.yml`. Jobs that name a compute nobody "
        "declared run on this machine.",
    )
