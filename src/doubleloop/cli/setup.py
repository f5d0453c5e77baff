"""``doubleloop plan`` and ``doubleloop apply``: the installation as a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from doubleloop.cli import options, output

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_EMPTY: tuple[Any, ...] = (None, "", [], {})
_SIGNS = {"create": "+", "change": "~", "delete": "-", "none": " "}


@click.command("plan", cls=options.Verb)
@options.file(required=True)
@options.shared(workspace=False)
def plan(session: Session, file: str, sets: tuple[str, ...]) -> output.Shown:
    """Show what a setup file would change; changes nothing."""
    return output.Shown(session.client.setup.plan(_wire(session, file, sets)), text=_changes)


@click.command("apply", cls=options.Verb)
@options.file(required=True)
@options.yes()
@options.shared(workspace=False)
def apply(session: Session, file: str, sets: tuple[str, ...], yes: bool) -> output.Shown:
    """Make the installation as a setup file says. A second time changes nothing."""
    wire = _wire(session, file, sets)
    planned = session.client.setup.plan(wire)
    if _real(planned) and sys.stdin.isatty() and not yes:
        session.note(_changes(planned))
        session.confirm("Make these changes?", yes)
    return output.Shown(session.client.setup.apply(wire, planned.get("digest")), text=_changes)


def _wire(session: Session, file: str, sets: tuple[str, ...]) -> dict[str, Any]:
    from doubleloop.cli import files

    return files.ship(session, files.read(session, file, "setup", options.pairs(sets, "--set")))


def _real(planned: dict[str, Any]) -> list[dict[str, Any]]:
    return [change for change in planned.get("changes") or [] if change.get("action") != "none"]


def _changes(planned: dict[str, Any]) -> str:
    lines = []
    for change in _real(planned):
        lines.append(f"{_SIGNS.get(change['action'], '?')} {change['kind']} {change['name']}")
        for field, (before, after) in (change.get("fields") or {}).items():
            if before in _EMPTY and after in _EMPTY:
                continue
            was = "" if before in _EMPTY else f"{output.plain(before)} → "
            lines.append(f"    {field}: {was}{output.plain(after)}")
    return "\n".join(lines) or "Nothing to change."
