"""``doubleloop token``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, passwords, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Id", "id"),
    output.Column("Name", "name"),
    output.Column("Kind", "kind"),
    output.Column("Workspace", "workspace", lambda name: name or "all"),
    output.Column("Allows", "actions", lambda actions: ", ".join(actions or []) or "everything"),
    output.Column("On", "resource"),
    output.Column("Expires", "expires_at", output.when),
    output.Column("Last used", "last_used_at", output.when),
)
_OF = click.option("--of", "owner", metavar="WHO", help="Of another user, or of service:NAME.")


@click.group("token", cls=tree.Verbs)
def GROUP() -> None:
    """Tokens of programs, and logins. What a token may do is what its owner may, within its limits."""


@GROUP.command("create", cls=options.Verb)
@options.name("token's name")
@click.option("--lifetime", metavar="TIME", help="Such as 90d or PT8H  [default: no end]")
@click.option("--read-only", is_flag=True, help="It can look, and change nothing.")
@click.option("--action", "actions", multiple=True, metavar="ACTION", help="It can do this alone; more than once.")
@click.option("--resource", metavar="KIND/NAME", help="On one thing of the workspace, such as endpoint/bikes.")
@_OF
@options.shared()
def create(
    session: Session, name: str, lifetime: str | None, read_only: bool, actions: tuple[str, ...], resource: str | None,
    owner: str | None,
) -> Any:  # fmt: skip
    """A token for a program; it is shown this once. With -w it works in that workspace alone."""
    seconds = passwords.seconds(lifetime) if lifetime else None
    words = [*(["read-only"] if read_only else []), *actions]
    return session.client.create_token(
        name, user=owner, workspace=session.flags.workspace, lifetime=seconds, actions=words or None, resource=resource
    )


@GROUP.command("list", cls=options.Verb)
@_OF
@options.shared(workspace=False)
def list_(session: Session, owner: str | None) -> output.Shown:
    """Your tokens and logins, with when each was used last."""
    return output.Shown(session.client.tokens(owner), _COLUMNS)


@GROUP.command("revoke", cls=options.Verb)
@options.name("token's id")
@options.shared(workspace=False)
def revoke(session: Session, name: str) -> None:
    """Make a token worthless, at once."""
    session.client.revoke_token(name)
    session.note(f"Token {name} is revoked.")


@GROUP.command("revoke-all", cls=options.Verb)
@_OF
@options.yes()
@options.shared(workspace=False)
def revoke_all(session: Session, owner: str | None, yes: bool) -> Any:
    """Make all tokens and logins of a user or process worthless, also the one that is used for this."""
    who = owner or str(session.client.me()["user"])
    session.confirm(f"Revoke every token and login of {who}?", yes)
    return session.client.users.revoke_tokens(who)
