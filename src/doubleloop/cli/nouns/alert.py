"""``doubleloop alert``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doubleloop.base import clock, errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])

_COLUMNS = (
    output.Column("Id", "id"),
    output.Column("State", "state"),
    output.Column("Severity", "severity"),
    output.Column("Kind", "kind"),
    output.Column("Monitor", "monitor"),
    output.Column("Signal", "signal"),
    output.Column("Metric", "metric"),
    output.Column("Value", "value"),
    output.Column("Threshold", "threshold"),
    output.Column("Raised", "raised_at", output.when),
)
_HISTORY = ("When", "What", "By", "Said")


def _comment() -> Callable[[F], F]:
    return click.option("-c", "--comment", default="", metavar="TEXT", help="For the record.")


@click.group("alert", cls=tree.Verbs)
def GROUP() -> None:
    """Alerts of monitors, and what is done about them."""


@GROUP.command("list", cls=options.Verb)
@click.option("--monitor", metavar="NAME", help="Of one monitor.")
@click.option("--state", metavar="STATE", help="open, acknowledged, silenced or resolved; several with commas.")
@click.option("--open", "open_", is_flag=True, help="All that are not resolved.")
@options.limit()
@options.shared()
def list_(session: Session, monitor: str | None, state: str | None, open_: bool, limit: int | None) -> output.Shown:
    """The alerts of the workspace, newest first."""
    return output.Shown(session.workspace.alerts.list(monitor, state, open_=open_, limit=limit or 50), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("alert's id")
@options.shared()
def show(session: Session, name: str) -> output.Shown:
    """One alert: what moved most, before and after, and what was done about it."""
    return output.Shown(session.workspace.alerts.show(name), text=_page)


def _page(found: dict[str, Any]) -> str:
    details = found.get("details") or {}
    page = output.fields({key: value for key, value in found.items() if key not in ("details", "history", "workspace")})
    moved = [f"  {each['sentence']}" for each in details.get("moved") or []]
    moved += [
        f"  {each['column']} = {each['segment']}: {each['before']:.1%} before, {each['after']:.1%} after"
        for each in details.get("segments") or []
    ]
    page += "\nMoved most:\n" + "\n".join(moved) + "\n" if moved else ""
    worst = [f"  {each['sentence']}" for each in details.get("examples") or []]
    page += (
        "\nWorst examples (`doubleloop trace REQUEST` shows what was asked):\n" + "\n".join(worst) + "\n"
        if worst
        else ""
    )
    cells = [
        [output.when(each["at"]), each["type"], each["actor"], each.get("comment") or each.get("why") or ""]
        for each in found.get("history") or []
    ]
    return page + ("\n" + output.rows(_HISTORY, cells) if cells else "")


@GROUP.command("acknowledge", cls=options.Verb)
@options.name("alert's id")
@_comment()
@options.shared()
def acknowledge(session: Session, name: str, comment: str) -> Any:
    """Say that somebody looks after it."""
    return _done(session.workspace.alerts.acknowledge(name, comment))


@GROUP.command("silence", cls=options.Verb)
@options.name("alert's id")
@click.option("--for", "length", metavar="SPAN", help="For so long: 2h, 30m, P1D.")
@click.option("--until", metavar="TIME", help="Until then (ISO 8601).")
@_comment()
@options.shared()
def silence(session: Session, name: str, length: str | None, until: str | None, comment: str) -> Any:
    """Tell nobody of it until then, whatever is found meanwhile."""
    if (length is None) == (until is None):
        raise errors.InvalidInput("A silence needs an end", cure="Give --for 2h, or --until 2026-01-31T12:00:00Z.")
    try:
        until = clock.iso(clock.parse(until)) if until else None
        if length:
            clock.duration(length)
    except (ValueError, OverflowError) as error:
        where = errors.Where("--until" if until else "--for")
        raise errors.InvalidInput(str(error), where=where, cure="Write 2026-01-31T12:00:00Z, or 2h.") from None
    return _done(session.workspace.alerts.silence(name, until=until, length=length, comment=comment))


@GROUP.command("label", cls=options.Verb)
@options.name("alert's id")
@click.option("--project", required=True, metavar="PROJECT", help="A labelling project that the new one is like.")
@click.option(
    "--task", metavar="TASK", help="For a name that no project has: text_classification, image_classification, …"
)
@click.option("--to", metavar="WORKSPACE", help="Where people label (default: the alert's workspace).")
@options.shared()
def label(session: Session, name: str, project: str, task: str | None, to: str | None) -> Any:
    """Send the worst examples that the alert kept to people who label."""
    return session.workspace.alerts.label(name, project, task, to)


@GROUP.command("resolve", cls=options.Verb)
@options.name("alert's id")
@_comment()
@options.shared()
def resolve(session: Session, name: str, comment: str) -> Any:
    """Say that it is mended; a run that finds it bad still opens it again."""
    return _done(session.workspace.alerts.resolve(name, comment))


@GROUP.command("reopen", cls=options.Verb)
@options.name("alert's id")
@_comment()
@options.shared()
def reopen(session: Session, name: str, comment: str) -> Any:
    """Take back that it was acknowledged, silenced or resolved."""
    return _done(session.workspace.alerts.reopen(name, comment))


def _done(alert: dict[str, Any]) -> output.Shown:
    return output.Shown(alert, text=_page)
