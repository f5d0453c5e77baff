"""``doubleloop audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Seq", "seq"),
    output.Column("At", "at", output.when),
    output.Column("Actor", "actor"),
    output.Column("Type", "type"),
    output.Column("Workspace", "workspace"),
    output.Column("Subject", "subject"),
    output.Column("Hash", "hash", output.short),
)


@click.group("audit", cls=tree.Verbs)
def GROUP() -> None:
    """The record of everything, and proof that it is whole."""


@GROUP.command("list", cls=options.Verb)
@click.option("--type", "type_", metavar="TYPE", help="Such as release.approved.")
@click.option("--subject", metavar="ID", help="About one thing.")
@click.option("--actor", metavar="NAME", help="By one user or process.")
@options.limit()
@options.shared()
def list_(
    session: Session, type_: str | None, subject: str | None, actor: str | None, limit: int | None
) -> output.Shown:  # fmt: skip
    """What happened, newest first (50 unless -r says otherwise)."""
    place = session.flags.registry_name or session.flags.workspace
    found = session.client.audit.list(type_=type_, subject=subject, workspace=place, actor=actor, limit=limit or 50)
    return output.Shown(found, _COLUMNS)


@GROUP.command("head", cls=options.Verb)
@options.shared(workspace=False)
def head(session: Session) -> Any:
    """Number and seal of the newest fact: write it down elsewhere, and nobody can rewrite what came before."""
    return session.client.audit.head()


@GROUP.command("verify", cls=options.Verb)
@options.shared(workspace=False)
def verify(session: Session) -> Any:
    """Recompute every seal; exit 1 when the record was changed."""
    found = session.client.audit.verify()
    if not found["whole"]:
        raise errors.Failed(
            f"The record does not hold from fact {found['broken_at']} on: {found['why']}",
            cure="Compare with a backup; what follows that fact proves nothing.",
        )
    return output.Shown(found, text=lambda value: f"Whole: {value['facts']} facts, head {value['head']}")
