"""``doubleloop component``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, tree
from doubleloop.cli.nouns import asset

if TYPE_CHECKING:
    from doubleloop.cli.session import Session


@click.group("component", cls=tree.Verbs)
def GROUP() -> None:
    """Reusable pipeline steps."""


asset.add(GROUP, "components", ("list",))


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-v", "--version", metavar="VERSION", help="Version  [default: the next]")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, version: str | None
) -> Any:  # fmt: skip
    """A new version of a component, with its code."""
    from doubleloop.cli import files

    document = files.read(session, file, "component", options.pairs(sets, "--set"), name=name, version=version)
    return session.workspace.components.create(files.ship(session, document))


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.version()
@options.shared()
def show(session: Session, name: str, version: str | None, label: str | None) -> Any:
    """One version of a component."""
    plain, wanted = options.asset(session, name, version, label)
    for found in session.workspace.components.list():
        if found["name"] == plain and (wanted in ("@latest", f"{found['version']}") or wanted[1:] in found["labels"]):
            return found
    raise errors.NotFound(f"There is no component {name} here", cure="See `doubleloop component list`.")
