"""``doubleloop budget``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Workspace", "workspace"),
    output.Column("Spent", "spent"),
    output.Column("Amount", "amount"),
    output.Column("Currency", "currency"),
    output.Column("Share", "share", lambda share: f"{share:.0%}"),
    output.Column("Forecast", "forecast"),
    output.Column("Until", "period_end", output.when),
)
_LINES = ("What", "Workspace", "Name", "Compute", "Hours", "Cost")


@click.group("budget", cls=tree.Verbs)
def GROUP() -> None:
    """Budgets of setup files, and what is spent of them."""


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The budgets of the workspace, and those of the installation for who may see all of it."""
    return output.Shown(session.workspace.budgets.list()[:limit], _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("budget's name")
@options.shared()
def show(session: Session, name: str) -> output.Shown:
    """What is spent of a budget in its period, what it was spent on, and what was told of it."""
    return output.Shown(session.workspace.budgets.show(name), text=_page)


def _page(found: dict[str, Any]) -> str:
    page = output.fields({key: value for key, value in found.items() if key not in ("lines", "alerts")})
    told = [f"  {each['threshold']} % {each['basis']}, {output.when(each['at'])}" for each in found["alerts"]]
    page += "\nTold:\n" + "\n".join(told) + "\n" if told else ""
    cells = [
        [each["kind"], each["workspace"], each["name"], each["compute"], each["hours"], each["cost"] or each["why"]]
        for each in found["lines"]
    ]
    return page + ("\n" + output.rows(_LINES, cells) if cells else "")
