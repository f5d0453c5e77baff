"""``doubleloop datastore``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Type", "type"),
    output.Column("Default", "is_default"),
    output.Column("Address", "url"),
    output.Column("Description", "description"),
)


@click.group("datastore", cls=tree.Verbs)
def GROUP() -> None:
    """Where data lies."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], name: str | None) -> Any:
    """Make a datastore known; an existing one is changed."""
    from doubleloop.cli import files

    document = files.read(session, file, "datastore", options.pairs(sets, "--set"), name=name)
    return session.workspace.datastores.create(files.ship(session, document))


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@options.shared()
def update(session: Session, file: str | None, sets: tuple[str, ...], name: str | None) -> Any:
    """Change a datastore, by a file or by --set."""
    from doubleloop.cli import files

    pairs = options.pairs(sets, "--set")
    if file is not None or name is None:
        document = files.read(session, file, "datastore", pairs, name=name)
    else:
        found = session.workspace.datastores.show(name)
        kept = {key: value for key, value in found.items() if key != "is_default"}
        document = files.again(session, "datastore", name, kept, pairs)
    return session.workspace.datastores.create(files.ship(session, document))


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Forget a datastore. What lies there stays."""
    session.confirm(f"Delete datastore {name}?", yes)
    session.workspace.datastores.delete(name)
    session.note(f"Datastore {name} is deleted; what lies there stays.")


@GROUP.command("list", cls=options.Verb)
@options.shared()
def list_(session: Session) -> output.Shown:
    """The datastores of the workspace."""
    return output.Shown(session.workspace.datastores.list(), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One datastore; secrets stay where they are."""
    return session.workspace.datastores.show(name)
