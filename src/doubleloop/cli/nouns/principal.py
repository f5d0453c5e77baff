"""``doubleloop principal``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Process", "id"),
    output.Column("Owner", "owner", lambda owner: owner or "the system"),
    output.Column("Workspace", "workspace", lambda name: name or "all"),
    output.Column("Groups", "groups"),
    output.Column("Roles", "assignments", lambda given: ", ".join(each["role"] for each in given or [])),
    output.Column("Disabled", "disabled"),
    output.Column("What for", "description"),
)


@click.group("principal", cls=tree.Verbs)
def GROUP() -> None:
    """Processes that act under a name of their own: they hold tokens, and cannot log in, approve or administer."""


@GROUP.command("create", cls=options.Verb)
@options.name("process's name")
@click.option(
    "--role", metavar="ROLE", help="Role to give it: R, C, O, ADS, ...; more with `role assign service:NAME`."
)
@click.option("--persona", metavar="PERSONA", help="Make it a group of its own with this persona, e.g. cicd_process.")
@click.option("--owner", metavar="USER", help="Who answers for it and makes its tokens  [default: you]")
@click.option("--description", metavar="TEXT", help="What it is for.")
@options.shared()
def create(
    session: Session, name: str, role: str | None, persona: str | None, owner: str | None, description: str | None
) -> Any:
    """Make service:NAME; with -w it acts in that workspace and no other."""
    return session.client.principals.create(
        name, role=role, persona=persona, owner=owner, description=description, workspace=session.flags.workspace
    )


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Session) -> output.Shown:
    """Those you own; all, with the right to see who may do what."""
    return output.Shown(session.client.principals.list(), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("process's name")
@options.shared(workspace=False)
def show(session: Session, name: str) -> Any:
    """One, with its groups and roles."""
    return session.client.principals.show(_bare(name))


@GROUP.command("disable", cls=options.Verb)
@options.name("process's name")
@options.shared(workspace=False)
def disable(session: Session, name: str) -> None:
    """Stop its tokens at once."""
    session.client.principals.disable(_bare(name))
    session.note(f"The tokens of {name} do not work any more.")


@GROUP.command("enable", cls=options.Verb)
@options.name("process's name")
@options.shared(workspace=False)
def enable(session: Session, name: str) -> None:
    """Let its tokens work again."""
    session.client.principals.enable(_bare(name))
    session.note(f"The tokens of {name} work again.")


@GROUP.command("delete", cls=options.Verb)
@options.name("process's name")
@options.yes()
@options.shared(workspace=False)
def delete(session: Session, name: str, yes: bool) -> None:
    """Remove it with its tokens and roles; what it did stays on record."""
    session.confirm(f"Remove {name} with its tokens?", yes)
    session.client.principals.delete(_bare(name))
    session.note(f"{name} is gone.")


def _bare(name: str) -> str:
    return name.removeprefix("service:")
