"""What every route needs: who asks, a context for them, documents and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request

from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity import strangers
from doubleloop.settings.model import Settings
from doubleloop.specs import documents

T = TypeVar("T")

GATE = actors.service("gate")
SESSION_COOKIE = "doubleloop_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def contexts(request: Request) -> Contexts:
    found: Contexts = request.app.state.contexts
    return found


def settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


def secret_of(request: Request) -> str | None:
    """The bearer token, or the console's session cookie.

    A browser sends the cookie along with any page's request to this host, so for what may change something it counts
    only when the browser says that a page of ours asked.
    """
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret:
        return secret
    if request.method in SAFE_METHODS or request.headers.get("sec-fetch-site") == "same-origin":
        return request.cookies.get(SESSION_COOKIE)
    return None


def origin(request: Request) -> actors.Origin:
    """Where the request came from, as the record tells it."""
    door = "mlflow" if request.url.path.startswith("/mlflow") else "api"
    return actors.origin(door, request.client.host if request.client else None, request.headers)


def gate(request: Request) -> actors.Actor:
    """The door itself, while it is not known who asks."""
    return dataclasses.replace(GATE, origin=origin(request))


def address(request: Request) -> str:
    """Where a request comes from, as the server that took it says."""
    return request.client.host if request.client else ""


def actor(request: Request) -> actors.Actor:
    """Who asks. Raises NotAuthenticated. Found once per request."""
    known: actors.Actor | None = getattr(request.state, "actor", None)
    if known is not None:
        return known
    secret = secret_of(request)
    if not secret:
        raise errors.NotAuthenticated("This needs a token", cure="Log in with `doubleloop login`.")
    found = dataclasses.replace(identity.admit(contexts(request), GATE, secret), origin=origin(request))
    request.state.actor = found
    return found


@contextmanager
def writing(request: Request, workspace: str | None = None) -> Iterator[Ctx]:
    with contexts(request).write(actor(request), workspace) as ctx:
        yield ctx


@contextmanager
def reading(request: Request, workspace: str | None = None) -> Iterator[Ctx]:
    with contexts(request).read(actor(request), workspace) as ctx:
        yield ctx


def document(body: dict[str, Any], *kinds: str) -> documents.Document:
    """The document of a body, of one of these kinds. Raises InvalidInput."""
    if "document" not in body:
        raise errors.InvalidInput("The body has no 'document'")
    found = documents.from_wire(body["document"])
    if kinds and found.kind not in kinds:
        raise errors.InvalidInput(f"This takes a {' or '.join(kinds)}, not a {found.kind}")
    return found


def refuse_unknown(body: dict[str, Any], *known: str) -> None:
    """Raise InvalidInput for a field the route does not know."""
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise errors.InvalidInput(f"Unknown field '{unknown[0]}'", cure=f"Known: {', '.join(known)}.")


_WORDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a mapping", list: "a list"}


def value(body: dict[str, Any], name: str, kind: type[T], default: T | None = None) -> T | None:
    """A field of the body; ``default`` when it is missing or null. Raises InvalidInput for another type."""
    found: Any = body.get(name)
    if found is None:
        return default
    if type(found) is not kind or "\0" in str(found if kind is str else ""):
        raise errors.InvalidInput(f"'{name}' must be {_WORDS[kind]}")
    chosen: T = found
    return chosen


def text(body: dict[str, Any], name: str, default: str = "") -> str:
    return value(body, name, str) or default


def identifier(body: dict[str, Any], name: str = "id") -> str | None:
    """An id that the caller chose; None when there is none. Raises InvalidInput for what cannot be one."""
    found = value(body, name, str)
    if found is not None and not ids.is_name(found):
        raise errors.InvalidInput(f"'{found[:80]}' cannot be an id", cure="Use letters, digits, '.', '_' and '-'.")
    return found


def cursor(after: str | None) -> str | None:
    """Where a page begins, as the page before told it. Raises InvalidInput."""
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise errors.InvalidInput(
            f"'{after[:80]}' is not a cursor", cure="Use the `next` of the page before."
        )  # fmt: skip
    return after


def record_denial(request: Request, error: errors.DoubleloopError, who: actors.Actor | None) -> None:
    """A refusal is in the audit log, in a transaction of its own: the refused one has been rolled back.

    Every one of somebody who is known; of strangers so many that they cannot fill it.
    """
    counted: strangers.Strangers = request.app.state.strangers
    entry = strangers.Entry() if who else counted.refused(address(request), contexts(request).now())
    if entry is None:
        return
    workspace = request.path_params.get("ws")
    with contexts(request).write(who or gate(request), workspace) as ctx:
        claimed = getattr(request.state, "claimed", None)
        events.deny(ctx, f"route:{request.method} {request.url.path}", error, claimed, **entry.to_dict())


Render = Callable[[Any], Any]


def listing(items: Iterable[Any], render: Render, next_: str | None = None) -> dict[str, Any]:
    return {"items": [render(item) for item in items], "next": next_}
