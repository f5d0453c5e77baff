"""``doubleloop secret``: values come in by standard input or a file, because arguments are read along by everybody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Version", "version"),
    output.Column("Written", "updated_at", output.when),
    output.Column("Description", "description"),
)


@click.group("secret", cls=tree.Verbs)
def GROUP() -> None:
    """Values given to jobs and deployments by name."""


@GROUP.command("set", cls=options.Verb)
@options.name("secret's name")
@click.option("--value-stdin", "stdin", is_flag=True, help="Read the value from standard input; a last newline goes.")
@click.option("--file", "file", metavar="FILE", help="Read the value from a file, as it is.")
@click.option("--description", metavar="TEXT", help="What it is for; everybody who may list it reads this.")
@options.shared()
def set_(session: Session, name: str, stdin: bool, file: str | None, description: str | None) -> Any:
    """Write the next version of a secret; without an option the value is asked for."""
    return session.workspace.secrets.set(name, _value(name, stdin, file), description)


@GROUP.command("list", cls=options.Verb)
@options.shared()
def list_(session: Session) -> output.Shown:
    """The secrets of the workspace, without their values."""
    return output.Shown(session.workspace.secrets.list(), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("secret's name")
@click.option("--reveal", is_flag=True, help="Show the value; that you did is on record.")
@click.option("-v", "--version", type=click.IntRange(1), metavar="N", help="With --reveal  [default: newest]")
@options.shared()
def show(session: Session, name: str, reveal: bool, version: int | None) -> Any:
    """Versions of a secret and who wrote them; with --reveal, a value."""
    if reveal:
        return session.workspace.secrets.reveal(name, version)
    if version is not None:
        raise errors.InvalidInput("--version goes with --reveal", cure="Leave it out: all versions are shown.")
    return session.workspace.secrets.show(name)


@GROUP.command("delete", cls=options.Verb)
@options.name("secret's name")
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Destroy the values of all its versions."""
    session.confirm(f"Destroy every version of secret {name}? What needs it will not start any more.", yes)
    session.workspace.secrets.delete(name)
    session.note(f"Secret {name} is gone.")


@GROUP.command("renew", cls=options.Verb)
@options.shared()
def renew(session: Session) -> Any:
    """Lock every value of the workspace with the newest key of the installation."""
    return session.workspace.secrets.renew()


def _value(name: str, stdin: bool, file: str | None) -> str:
    if stdin and file:
        raise errors.InvalidInput("The value is to come from two places", cure="Give --value-stdin or --file.")
    if file:
        return _text(_read(file), errors.Where(file))
    if stdin:
        text = _text(sys.stdin.buffer.read(), errors.Where("standard input"))
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise errors.InvalidInput("There is no terminal to ask for the value on", cure="Add --value-stdin or --file.")
    return str(click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise errors.InvalidInput(f"It cannot be read: {error.strerror}", where=errors.Where(file)) from error


def _text(content: bytes, where: errors.Where) -> str:
    """Raises InvalidInput for what is no text; nothing of it is repeated."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise errors.InvalidInput("The value is not UTF-8 text", where=where, cure="Encode bytes as Base64.") from None
