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


asset.add(GROUP, "components")


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
