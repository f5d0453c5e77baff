"""``doubleloop role``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Group", "name"),
    output.Column("Persona", "persona"),
    output.Column("Members", "members"),
    output.Column("Workspaces", "workspaces", lambda names: ", ".join(names or []) or "all"),
)


@click.group("role", cls=tree.Verbs)
def GROUP() -> None:
    """Groups, personas, and who may do what."""


@GROUP.command("list", cls=options.Verb)
@click.option("--personas", is_flag=True, help="What each persona may do, in place of the groups.")
@options.shared(workspace=False)
def list_(session: Session, personas: bool) -> output.Shown:
    """The groups, with their persona and members."""
    found = session.client.roles()
    if personas:
        return output.Shown(found.get("personas") or {}, text=_personas)
    return output.Shown(found["items"], _COLUMNS)


def _personas(found: dict[str, Any]) -> str:
    cells = [
        [persona, kind, ", ".join(actions) or "nothing"]
        for persona, kinds in found.items()
        for kind, actions in kinds.items()
    ]
    return output.rows(("Persona", "Workspace", "May"), cells)


@GROUP.command("explain", cls=options.Verb)
@click.argument("action")
@click.option("--who", metavar="USER", help="About whom  [default: you]")
@options.shared()
def explain(session: Session, action: str, who: str | None) -> output.Shown:
    """Whether somebody may do ACTION (such as release.approve), and why."""
    found = session.client.explain(who, action, session.flags.workspace)
    return output.Shown(found, text=lambda value: f"{'Yes' if value['allowed'] else 'No'}: {value['why']}")
