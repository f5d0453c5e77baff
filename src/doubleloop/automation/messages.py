"""Words for people: filling in a fact's fields, and sending."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import apprise

from doubleloop.base import errors
from doubleloop.events.model import Fact
from doubleloop.outbound import commands as outbound

_FIELD = re.compile(r"\$\{\{\s*fact\.([A-Za-z0-9_.]+)\s*\}\}")


def fill(value: Any, fact: Fact) -> Any:
    """``${{fact.endpoint}}`` and the like in a text; other values as they are. Raises InvalidInput."""
    if not isinstance(value, str):
        return value
    return _FIELD.sub(lambda match: _lookup(match[1], fact), value)


def _lookup(name: str, fact: Fact) -> str:
    found: Any = {**fact.data, "type": fact.type, "workspace": fact.workspace, "subject": fact.subject}
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            raise errors.InvalidInput(
                f"The fact {fact.type} has no field '{name}'", cure=f"It has: {', '.join(fact.data)}."
            )
        found = found[part]
    return str(found)


def describe(fact: Fact) -> str:
    """A fact in a few lines."""
    lines = [f"{fact.type}: {fact.subject}"]
    lines += [f"  {name}: {value}" for name, value in fact.data.items() if value not in (None, "", [], {})]
    return "\n".join(lines)


def also(alerts: Sequence[Fact]) -> str:
    """What else the same run of a monitor has found, a line for each alert; empty for one alone."""
    if not alerts:
        return ""
    lines = [f"  {each.data.get('signal')}: {_crossed(each)}" for each in alerts]
    return "\nThe same run also found:\n" + "\n".join(lines)


def _crossed(alert: Fact) -> str:
    columns = ", ".join(alert.data.get("columns") or ())
    place = f" of {columns}" if columns else ""
    return f"{alert.data.get('metric')}{place} {alert.data.get('value')}, threshold {alert.data.get('threshold')}"


# They say something on the machine that sends, or pass a text on as a file of its own.
_LOCAL = ("syslog", "dbus", "gnome", "glib", "kde", "macosx", "windows", "qt")


def send(targets: list[str], title: str, text: str, allowed: Sequence[str] = ()) -> str:
    """Send through apprise (mail, chat, webhook … by address), to the internet and what is ``allowed``.

    Raises InvalidInput, NotPermitted, Unavailable.
    """
    failed = False
    for target in targets:
        post = apprise.Apprise()
        address = f"mailto://{target}" if "@" in target and "://" not in target else target
        if address.partition(":")[0].lower() in _LOCAL or not post.add(address):
            raise errors.InvalidInput(
                f"'{target.partition('://')[0]}…' is not an address that messages can be sent to",
                cure="See the list of apprise addresses: mailto://, slack://, json://…",
            )
        with outbound.guarded(allowed) as guard:
            failed |= not post.notify(title=title, body=text)
            guard.raise_if_refused()
    if failed:
        raise errors.Unavailable("Not every notification could be delivered")
    return f"told {len(targets)}"
