"""``doubleloop plan``, ``apply``, ``destroy`` and ``drift``: the installation as a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doubleloop.base import errors
from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_SIGNS = {"create": "+", "change": "~", "remove": "-", "forget": "o", "none": " "}
# As terraform's --detailed-exitcode has it: 0 nothing to do, 1 an error, 2 something to do.
CHANGES, DRIFT = 2, 1


def _delete_data() -> Callable[[F], F]:
    return click.option(
        "--delete-data", "delete_data", multiple=True, metavar="NAME",
        help="Workspace or registry that may be removed with all it holds.",
    )  # fmt: skip


@click.command("plan", cls=options.Verb)
@options.file(required=True)
@_delete_data()
@click.option("--detailed-exitcode", "detailed", is_flag=True, help="Exit with 2 when there is something to do.")
@options.shared(workspace=False)
def plan(
    session: Session, file: str, sets: tuple[str, ...], delete_data: tuple[str, ...], detailed: bool
) -> output.Shown | None:
    """Show what a setup file would change; changes nothing."""
    planned = session.client.setup.plan(_wire(session, file, sets), delete_data)
    return _end(session, output.Shown(planned, text=_changes), CHANGES if detailed and _real(planned) else 0)


@click.command("apply", cls=options.Verb)
@options.file(required=True)
@_delete_data()
@options.yes()
@options.shared(workspace=False)
def apply(session: Session, file: str, sets: tuple[str, ...], delete_data: tuple[str, ...], yes: bool) -> output.Shown:
    """Make the installation as a setup file says. A second time changes nothing.

    On a terminal it shows the plan and asks. Without one it does what was planned, and says what it did.
    """
    wire = _wire(session, file, sets)
    planned = session.client.setup.plan(wire, delete_data)
    if _real(planned) and sys.stdin.isatty() and not yes:
        session.note(_changes(planned))
        session.confirm("Make these changes?", yes)
    return output.Shown(session.client.setup.apply(wire, planned.get("digest"), delete_data), text=_changes)


@click.command("destroy", cls=options.Verb)
@click.option("-n", "--name", default="", metavar="NAME", help="The set-up  [default: the only one]")
@_delete_data()
@click.option("--confirm", metavar="NAME", help="The name again, where there is no terminal to type it on.")
@options.shared(workspace=False)
def destroy(session: Session, name: str, delete_data: tuple[str, ...], confirm: str | None) -> output.Shown:
    """Remove everything that a set-up made."""
    planned = session.client.setup.plan_destroy(name, delete_data)
    name = planned["setup"]
    if confirm is None:
        if not sys.stdin.isatty():
            raise errors.InvalidInput("This removes everything that the set-up made", cure=f"Add --confirm {name}.")
        session.note(_changes(planned))
        confirm = click.prompt(f"Type '{name}' to remove all of this", err=True)
    done = session.client.setup.destroy(name, str(confirm), planned.get("digest"), delete_data)
    return output.Shown(done, text=_changes)


@click.command("drift", cls=options.Verb)
@click.option("-f", "--file", metavar="FILE", help="Only the set-up of this file  [default: all]")
@options.shared(workspace=False)
def drift(session: Session, file: str | None) -> output.Shown | None:
    """Show what was changed by hand since it was applied; exits with 1 when something was."""
    name = (_wire(session, file, ())["spec"].get("name") or Path(file).stem) if file else None
    found = session.client.setup.drift(name)
    return _end(session, output.Shown(found, text=_drifts), DRIFT if found["items"] else 0)


def _end(session: Session, shown: output.Shown, code: int) -> output.Shown | None:
    """What is printed, with an exit code of its own where that says something."""
    if not code:
        return shown
    output.show(shown, session.flags.output, session.flags.query)
    click.get_current_context().exit(code)


def _wire(session: Session, file: str, sets: tuple[str, ...]) -> dict[str, Any]:
    from doubleloop.cli import files

    return files.ship(session, files.read(session, file, "setup", options.pairs(sets, "--set")))


def _real(planned: dict[str, Any]) -> list[dict[str, Any]]:
    return [change for change in planned.get("changes") or [] if change.get("action") != "none"]


def _changes(planned: dict[str, Any]) -> str:
    lines = []
    for change in _real(planned):
        note = f"  ({change['note']})" if change.get("note") else ""
        lines.append(f"{_SIGNS.get(change['action'], '?')} {change['kind']} {change['name']}{note}")
        if change.get("refused"):
            lines.append(f"    kept: {change['refused']}")
        elif change["action"] in ("create", "change"):
            lines += _fields(change)
    return "\n".join(lines) or "Nothing to change."


def _fields(change: dict[str, Any]) -> list[str]:
    lines = []
    for field, (before, after) in (change.get("fields") or {}).items():
        if (before in _EMPTY or before is False) and (after in _EMPTY or after is False):
            continue
        was = "" if before in _EMPTY else f"{output.plain(before)} → "
        lines.append(f"    {field}: {was}{output.plain(after)}")
    return lines


def _drifts(found: dict[str, Any]) -> str:
    lines = []
    for each in found["items"]:
        who = f"  (by {each['by']}, {each['at']})" if each.get("by") else ""
        sign = "-" if each["change"] == "removed" else "~"
        lines.append(f"{sign} {each['kind']} {each['name']}{who}")
        if each["change"] == "changed":
            lines += _fields(each)
    if found.get("unmanaged"):
        names = ", ".join(f"{each['kind']} {each['name']}" for each in found["unmanaged"])
        lines.append(f"In no setup file: {names}")
    return "\n".join(lines if found["items"] else ["Nothing was changed by hand.", *lines])
