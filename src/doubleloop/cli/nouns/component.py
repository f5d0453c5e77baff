"""``doubleloop component``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session


@click.group("component", cls=tree.Verbs)
def GROUP() -> None:
    """Reusable pipeline steps."""


asset.add(GROUP, "components", ("label", "archive", "restore", "share", "update"))

CATALOG = (
    output.Column("Name", "name"),
    output.Column("Version", "version"),
    output.Column("Scenario", "tags.scenario"),
    output.Column("Task", "tags.task"),
    output.Column("Description", "description"),
)


@GROUP.command("list", cls=options.Verb)
@options.name(required=False)
@click.option("--include-archived", "archived", is_flag=True, help="Archived ones too.")
@click.option("--catalog", is_flag=True, help="The training components that are shipped.")
@options.limit()
@options.shared()
def list_(session: Session, name: str | None, archived: bool, catalog: bool, limit: int | None) -> output.Shown:
    """The newest version of each name; with -n all versions of one."""
    kind = session.workspace.components
    if catalog:
        found = kind.list(catalog=True, limit=limit)
        return output.Shown([each for each in found if name in (None, each["name"])], CATALOG)
    found = kind.versions(name, limit) if name else kind.list(archived=archived, limit=limit)
    return output.Shown(found, asset.COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.version()
@click.option("--catalog", is_flag=True, help="One of the training components that are shipped.")
@options.shared()
def show(session: Session, name: str, version: str | None, label: str | None, catalog: bool) -> Any:
    """One version: -n NAME -v VERSION, or NAME:VERSION, or NAME@LABEL."""
    plain, wanted = options.asset(session, name, version, label)
    return session.workspace.components.show(plain, wanted, catalog)


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@click.option("--label", metavar="LABEL", help="Label the new version at once.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None, label: str | None
) -> Any:  # fmt: skip
    """A new version of a component, with its code."""
    from doubleloop.cli import files

    document = files.read(session, file, "component", options.pairs(sets, "--set"), name=name, version=version)
    return session.workspace.components.create(files.ship(session, document), label)


@GROUP.command("validate", cls=options.Verb)
@options.file(required=True)
@options.shared()
def validate(session: Session, file: str, sets: tuple[str, ...]) -> output.Shown:
    """Check a component's file without registering it."""
    from doubleloop.cli import files

    document = files.read(session, file, "component", options.pairs(sets, "--set"))
    notes = [str(notice) for notice in document.notices]
    told = {"result": "Succeeded", "kind": document.kind, "messages": [], "notes": notes}
    return output.Shown(told, text=lambda _: "The component can be used.")
