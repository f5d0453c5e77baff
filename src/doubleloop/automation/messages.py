"""Words for people: filling in a fact's fields, and sending."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apprise

from doubleloop.automation import delivering, mailing
from doubleloop.base import errors
from doubleloop.db.context import Contexts
from doubleloop.events.model import Fact
from doubleloop.outbound import commands as outbound
from doubleloop.settings.model import Settings

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


@dataclass(frozen=True)
class Message:
    """``key`` names it for good; ``promise`` is one of ``delivering``."""

    title: str
    text: str
    key: str
    promise: str = delivering.AT_MOST_ONCE


def send(
    contexts: Contexts, workspace: str | None, targets: Sequence[str], message: Message, allowed: Sequence[str] = ()
) -> str:
    """Send through apprise (mail, chat, webhook … by address), to the internet and what is ``allowed``.

    Each address is a delivery of its own: those that have the message do not get it again when another one failed.
    Raises InvalidInput, NotPermitted, Unavailable for what may go better later, Failed for what was refused, or may
    have arrived.
    """
    ways = [_way(contexts, target) for target in targets]
    later, failed = [], []
    for target, way in zip(targets, ways, strict=True):
        key = f"{message.key}/{hashlib.sha256(target.encode()).hexdigest()[:16]}"
        deliver = partial(_deliver, way, message, allowed)
        try:
            delivering.once(contexts, workspace, key, message.promise, deliver, _called(target))
        except errors.Unavailable as error:
            later.append(error)
        except errors.Failed as error:
            failed.append(error.what)
    if later:
        raise errors.Unavailable("; ".join(each.what for each in later), cure=later[0].cure)
    if failed:
        raise errors.Failed("; ".join(failed))
    return f"told {len(targets)}"


@dataclass(frozen=True)
class _Way:
    """How a message goes: ``host`` is the mail server that the installation itself names, which may be inside."""

    called: str
    post: apprise.Apprise
    host: str = ""
    cure: str = ""


def _way(contexts: Contexts, target: str) -> _Way:
    if not mailing.is_mailbox(target):
        return _Way(_called(target), _post(target, target))
    address, host = mailing.address(contexts.port(Settings), target)
    return _Way(target, _post(address, target), host, "" if host else mailing.UNSET)


def _called(target: str) -> str:
    """An address without what is secret in it."""
    scheme, sign, _ = target.partition("://")
    return f"{scheme}://…" if sign else target


def _post(address: str, target: str) -> apprise.Apprise:
    # In this thread, which waits for the end: what a thread of its own still sends later would be sent for nobody.
    asset = apprise.AppriseAsset(async_mode=False, service_timeout=0, app_id="Doubleloop")
    post = apprise.Apprise(asset=asset)
    if address.partition(":")[0].lower() in _LOCAL or not post.add(address):
        raise errors.InvalidInput(
            f"'{target.partition('://')[0]}…' is not an address that messages can be sent to",
            cure="See the list of apprise addresses: mailto://, slack://, json://…",
        )
    return post


def _deliver(way: _Way, message: Message, allowed: Sequence[str], again: bool) -> str:
    """Raises Unavailable, Failed for what was refused, Doubtful when it may have arrived although nothing says so."""
    text = message.text + ("\n(sent again: it may have reached you before)" if again else "")
    reach = (*allowed, way.host) if way.host else allowed
    with outbound.guarded(reach) as guard, delivering.Heard() as heard:
        if way.host:
            guard.check_host(way.host)
        # What a fact says is text: where a message is HTML, it is escaped and keeps its lines.
        done = way.post.notify(title=message.title, body=text, body_format=apprise.NotifyFormat.TEXT)
        guard.raise_if_refused()
    if done:
        return "told"
    if heard.in_doubt:
        raise delivering.Doubtful(f"The connection broke while {way.called} was told")
    code = f" ({heard.answered})" if heard.answered else ""
    if heard.refused:
        raise errors.Failed(f"{way.called} refused it{code}")
    raise errors.Unavailable(f"{way.called} could not be told{code}", cure=way.cure)
