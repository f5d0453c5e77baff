"""``doubleloop workspace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Kind", "kind"),
    output.Column("Registry", "is_registry"),
    output.Column("Description", "description"),
    output.Column("Created", "created_at", output.when),
)


@click.group("workspace", cls=tree.Verbs)
def GROUP() -> None:
    """Workspaces, and the default one."""


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Session) -> output.Shown:
    """The workspaces you may look into."""
    return output.Shown(session.client.workspaces(), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name(required=False)
@options.shared()
def show(session: Session, name: str | None) -> Any:
    """One workspace  [default: the one in use]."""
    return session.client.show_workspace(name or session.workspace.name)


@GROUP.command("use", cls=options.Verb)
@options.name()
@options.shared(workspace=False)
def use(session: Session, name: str) -> Any:
    """Make it the default of -w from now on."""
    from dataclasses import replace

    from doubleloop.sdk import profiles

    found = session.client.show_workspace(name)
    path = profiles.place(session.home, session.flags.user)
    stored = profiles.read(path)
    if stored is None:
        raise errors.NotFound(
            "There is no stored login to keep it in", cure="Log in first, or set DOUBLELOOP_WORKSPACE."
        )  # fmt: skip
    profiles.write(path, replace(stored, workspace=found["name"]))
    session.note(f"Commands without -w now use {found['name']}.")
    return found


@GROUP.command("create", cls=options.Verb, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def create(words: tuple[str, ...]) -> None:
    """Workspaces are made by `doubleloop apply -f setup.yml`."""
    raise errors.NotSupported(
        "A workspace is part of the setup file, with its kind, groups and budgets",
        cure="Add it under `workspaces:` and run `doubleloop apply -f setup.yml`.",
    )
