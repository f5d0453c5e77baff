"""``doubleloop rule``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("On", "on"),
    output.Column("Does", "do", lambda do: ", ".join(str(next(iter(each), "?")) for each in do or [])),
    output.Column("Enabled", "enabled"),
    output.Column("Default", "default"),
    output.Column("Last acted", "last_fired_at", output.when),
)


@click.group("rule", cls=tree.Verbs)
def GROUP() -> None:
    """What happens when something happens."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], name: str | None) -> Any:
    """Keep a rule; an existing one is changed."""
    from doubleloop.cli import files

    document = files.read(session, file, "rule", options.pairs(sets, "--set"), name=name)
    return session.workspace.rules.put(files.ship(session, document))


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The rules of the workspace."""
    return output.Shown(session.workspace.rules.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One rule."""
    return session.workspace.rules.show(name)


@GROUP.command("dry-run", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--since", metavar="SPAN", help="How far back: P30D, 12h, or a time  [default: P30D]")
@options.shared()
def dry_run(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, since: str | None
) -> output.Shown:
    """What a rule, kept or in a file, would have done; nothing is changed."""
    document = None
    if file is not None:
        from doubleloop.cli import files

        read = files.read(session, file, "rule", options.pairs(sets, "--set"), name=name)
        name, document = read.model.name, files.ship(session, read)
    if name is None:
        raise errors.InvalidInput("The rule is missing", cure="Give it with -n NAME, or a file with -f FILE.")
    return output.Shown(session.workspace.rules.dry_run(name, since, document), text=_rehearsal)


def _rehearsal(found: dict[str, Any]) -> str:
    head = (
        f"{found['rule']} since {output.when(found['since'])}: {found['facts']} facts, it would have acted "
        f"{found['acted']} times and kept quiet {found['skipped']} times.\n"
    )
    cells = [
        [str(each["fact"]), output.when(each["at"]), each["type"], "acts" if each["acts"] else "quiet",
         "; ".join(each["does"]) if each["acts"] else each["why"]]
        for each in found["occasions"]
    ]  # fmt: skip
    return head + ("\n" + output.rows(("Fact", "When", "Type", "Rule", "What, or why not"), cells) if cells else "")


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a rule."""
    session.confirm(f"Delete rule {name}?", yes)
    session.workspace.rules.delete(name)
    session.note(f"Rule {name} is deleted.")
