"""A fact as a CloudEvent 1.0 (structured mode, JSON), signed, to an address that a rule names.

Each repetition is the same event: the same ``id`` and ``source``, the same bytes, the same signature. Receivers that
keep the ids they have seen (CloudEvents 1.0.2, 3.1: source and id name an event) take each once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from doubleloop.automation import delivering
from doubleloop.base import actors, canonical, clock, errors, masking
from doubleloop.db.context import Contexts
from doubleloop.events.model import Fact
from doubleloop.outbound import commands as outbound
from doubleloop.vault import commands as vault
from doubleloop.workspaces import queries as workspaces

# Headers that receivers know a repetition by (draft-ietf-httpapi-idempotency-key-header).
KEY, AGAIN = "idempotency-key", "x-doubleloop-redelivered"


@dataclass(frozen=True)
class Call:
    """``data``: the event's; ``key``: its id; ``to``: the rule, as the record of secrets names it; ``actor``: who asks
    for them."""

    workspace: str
    author: str
    key: str
    to: str
    data: dict[str, Any]
    actor: actors.Actor = delivering.ACTOR


def send(contexts: Contexts, call: Call, fact: Fact, body: Any) -> str:
    """Fill in the secrets that address and headers name, and post. What is told of it has no value of a secret in it.

    Raises Unavailable for what may go better later (no answer, 5xx, 408, 429), Failed for what will not.
    """
    texts = {"url": body.url, **{f"header {name}": text for name, text in body.headers.items()}}
    if body.secret:
        texts["secret"] = f"${{{{secrets.{body.secret}}}}}"
    filled, values = vault.fill(contexts, call.actor, call.author, call.workspace, texts, call.to)
    with contexts.read(delivering.ACTOR, call.workspace) as ctx:
        allowed = workspaces.reach(ctx)
    content = canonical.dumps(event(call, fact)).encode()
    headers = {"content-type": "application/cloudevents+json", KEY: call.key}
    headers |= {name: _header(name, filled[f"header {name}"]) for name in body.headers}
    if body.secret:
        headers["x-doubleloop-signature"] = signature(filled["secret"], content)
    seconds = clock.duration(body.timeout).total_seconds()

    def deliver(again: bool) -> str:
        more = {**headers, **({AGAIN: "true"} if again else {})}
        return _post(filled["url"], content, more, seconds, allowed, body.url)

    try:
        return delivering.once(contexts, call.workspace, call.key, body.delivery, deliver, body.url)
    except (errors.DoubleloopError, httpx.HTTPError, httpx.InvalidURL) as error:
        again = isinstance(error, errors.Unavailable | httpx.HTTPError)
        told = _masked(str(error) or type(error).__name__, values)
        raise (errors.Unavailable if again else errors.Failed)(told) from None


def event(call: Call, fact: Fact) -> dict[str, Any]:
    """https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md"""
    return {
        "specversion": "1.0", "id": call.key, "source": f"doubleloop/{call.workspace}",
        "type": f"doubleloop.{fact.type}", "time": clock.iso(fact.at), "subject": fact.subject,
        "datacontenttype": "application/json", "data": call.data,
    }  # fmt: skip


def signature(secret: str, content: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the body."""
    return f"sha256={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"


def _post(
    url: str, content: bytes, headers: dict[str, str], seconds: float, allowed: Sequence[str], written: str
) -> str:
    with outbound.guarded(allowed, url):
        answer = delivering.post(url, content, headers, seconds)
    if answer.status_code >= 500 or answer.status_code in delivering.LATER:
        raise errors.Unavailable(f"{written} answered {answer.status_code}")
    if answer.status_code >= 400:
        raise errors.Failed(f"{written} answered {answer.status_code}: {answer.text[:200]}")
    return f"{written} answered {answer.status_code}"


def _header(name: str, text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise errors.InvalidInput(f"The header {name} would hold a line break or what is not ASCII")
    return text.strip()


def _masked(text: str, values: list[str]) -> str:
    masker = masking.Masker(values)
    return (masker.feed(text.encode()) + masker.end()).decode(errors="replace")
