"""``doubleloop user``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, passwords, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Display name", "display_name"),
    output.Column("Admin", "is_admin"),
    output.Column("Disabled", "disabled"),
    output.Column("Created", "created_at", output.when),
)
_STDIN = click.option("--password-stdin", "stdin", is_flag=True, help="Read the password from standard input.")


@click.group("user", cls=tree.Verbs)
def GROUP() -> None:
    """People of this installation. What they may do follows from their groups: `doubleloop role list`."""


@GROUP.command("create", cls=options.Verb)
@options.name("user's name")
@click.option("--display-name", metavar="TEXT", help="Name for people.")
@click.option("--admin", is_flag=True, help="May set up the installation; approves nothing by it.")
@click.option("--no-password", is_flag=True, help="Cannot log in until a password is set.")
@_STDIN
@options.shared(workspace=False)
def create(
    session: Session, name: str, display_name: str | None, admin: bool, no_password: bool, stdin: bool
) -> Any:  # fmt: skip
    """Make a user."""
    password = None if no_password else passwords.new(name, stdin)
    return session.client.users.create(name, display_name=display_name, password=password, is_admin=admin)


@GROUP.command("list", cls=options.Verb)
@options.shared(workspace=False)
def list_(session: Session) -> output.Shown:
    """Everybody."""
    return output.Shown(session.client.users.list(), _COLUMNS)


@GROUP.command("set-password", cls=options.Verb)
@options.name("user's name", required=False)
@_STDIN
@options.shared(workspace=False)
def set_password(session: Session, name: str | None, stdin: bool) -> None:
    """Change a password  [default: your own]."""
    who = name or str(session.client.me()["user"])
    session.client.users.set_password(who, passwords.new(who, stdin))
    session.note(f"The password of {who} is changed.")


@GROUP.command("show", cls=options.Verb)
@options.shared(workspace=False)
def show(session: Session) -> Any:
    """Who you are here, and your groups."""
    return session.client.me()


@GROUP.command("disable", cls=options.Verb)
@options.name("user's name")
@options.shared(workspace=False)
def disable(session: Session, name: str) -> None:
    """End somebody's logins and stop their tokens."""
    session.client.users.disable(name)
    session.note(f"{name} cannot log in, and their tokens do not work.")


@GROUP.command("enable", cls=options.Verb)
@options.name("user's name")
@options.shared(workspace=False)
def enable(session: Session, name: str) -> None:
    """Let somebody in again."""
    session.client.users.enable(name)
    session.note(f"{name} can log in again.")


@GROUP.command("link", cls=options.Verb)
@options.name("user's name")
@click.option("--subject", metavar="SUBJECT", required=True, help="The person's `sub` at the provider.")
@click.option("--issuer", metavar="URL", help="Of another provider than the one that is set.")
@options.shared(workspace=False)
def link(session: Session, name: str, subject: str, issuer: str | None) -> None:
    """Let a person of the OpenID Connect provider log in as this user."""
    session.client.users.link(name, subject, issuer)
    session.note(f"{subject} logs in as {name}.")


@GROUP.command("unlink", cls=options.Verb)
@options.name("user's name")
@options.shared(workspace=False)
def unlink(session: Session, name: str) -> None:
    """Let nobody of the provider log in as this user any more."""
    session.client.users.unlink(name)
    session.note(f"Nobody of the provider logs in as {name}.")
