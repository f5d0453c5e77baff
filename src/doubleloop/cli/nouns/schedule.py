"""``doubleloop schedule``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.specs import documents

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Kind", "kind"),
    output.Column("Enabled", "enabled"),
    output.Column("Next", "next_run_at", output.when),
    output.Column("Last", "last_run_at", output.when),
    output.Column("Last run", "last_run"),
    output.Column("By", "created_by"),
)


@click.group("schedule", cls=tree.Verbs)
def GROUP() -> None:
    """Jobs and monitors at set times."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@options.no_wait()
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], name: str | None, no_wait: bool) -> Any:
    """Keep a schedule of a job or of a monitor; an existing one is changed."""
    from doubleloop.cli import files

    return _put(session, files.read(session, file, "schedule", options.pairs(sets, "--set"), name=name))


def _put(session: Session, document: documents.Document) -> Any:
    from doubleloop.cli import files

    wire = files.ship(session, document)
    if document.model.create_monitor is None:
        return session.workspace.schedules.put(wire)
    session.workspace.monitors.put(wire)
    return session.workspace.schedules.show(document.model.name)


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@options.no_wait()
@options.shared()
def update(session: Session, file: str | None, sets: tuple[str, ...], name: str | None, no_wait: bool) -> Any:
    """Change a schedule, by a file or by --set."""
    from doubleloop.cli import files

    pairs = options.pairs(sets, "--set")
    if file is not None or name is None:
        return _put(session, files.read(session, file, "schedule", pairs, name=name))
    found = session.workspace.schedules.show(name)
    return _put(session, files.again(session, "schedule", name, found["spec"], pairs))


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The schedules of the workspace."""
    return output.Shown(session.workspace.schedules.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One schedule."""
    return session.workspace.schedules.show(name)


@GROUP.command("enable", cls=options.Verb)
@options.name()
@options.no_wait()
@options.shared()
def enable(session: Session, name: str, no_wait: bool) -> Any:
    """Let it run again, from the next time on."""
    return session.workspace.schedules.enable(name)


@GROUP.command("disable", cls=options.Verb)
@options.name()
@options.no_wait()
@options.shared()
def disable(session: Session, name: str, no_wait: bool) -> Any:
    """Keep it, and let it rest."""
    return session.workspace.schedules.disable(name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.no_wait()
@options.shared()
def delete(session: Session, name: str, yes: bool, no_wait: bool) -> None:
    """Delete a schedule; a monitor's goes with its monitor."""
    session.confirm(f"Delete schedule {name}?", yes)
    session.workspace.schedules.delete(name)
    session.note(f"Schedule {name} is deleted.")
