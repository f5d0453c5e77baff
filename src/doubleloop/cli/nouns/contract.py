"""``doubleloop contract``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Data", "name"),
    output.Column("Columns", "spec.columns", lambda columns: ", ".join(columns or {})),
    output.Column("On break", "on_break"),
    output.Column("By", "created_by"),
)
_CHECKS = (
    output.Column("Version", "version"),
    output.Column("Outcome", "outcome"),
    output.Column("Rows", "rows"),
    output.Column("Reasons", "reasons", lambda reasons: "; ".join(reasons or ())),
    output.Column("Looked", "at", output.when),
)


@click.group("contract", cls=tree.Verbs)
def GROUP() -> None:
    """What versions of a data asset must look like."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@click.option("--data", metavar="NAME", help="Data asset  [default: the file's `data`]")
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], data: str | None) -> Any:
    """Attach a contract to a data asset; one that is there is changed."""
    from doubleloop.cli import files

    document = files.read(session, file, "contract", options.pairs(sets, "--set"), data=data)
    return session.workspace.contracts.put(files.ship(session, document))


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The contracts of the workspace."""
    return output.Shown(session.workspace.contracts.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("data asset's name")
@options.shared()
def show(session: Session, name: str) -> Any:
    """One contract."""
    return session.workspace.contracts.show(name)


@GROUP.command("checks", cls=options.Verb)
@options.name("data asset's name")
@options.shared()
def checks(session: Session, name: str) -> output.Shown:
    """How versions kept it, newest first."""
    return output.Shown(session.workspace.contracts.checks(name), _CHECKS)


@GROUP.command("delete", cls=options.Verb)
@options.name("data asset's name")
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Detach a contract; what it found is kept."""
    session.confirm(f"Detach the contract of {name}?", yes)
    session.workspace.contracts.delete(name)
    session.note(f"The contract of {name} is detached.")
