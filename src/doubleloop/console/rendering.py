"""Templates, the headers of every answer, and errors as pages."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doubleloop import __version__
from doubleloop.base import clock, errors
from doubleloop.console import requests, telling, words

# Nothing from elsewhere, nothing inline: a text that slips through escaping still cannot run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("doubleloop.console", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_FILTERS = (
    words.at, words.ago, words.binding, words.compact, words.day, words.iso, words.link,
    words.measured, words.milliseconds, words.name, words.number, words.plain, words.pretty,
    words.prose,
    words.short, words.span, words.tone, words.usage, telling.fact_tone, telling.is_told, telling.sentence,
)  # fmt: skip
_TEMPLATES.filters.update({each.__name__: each for each in _FILTERS})


def page(request: Request, template: str, code: int = 200, **values: Any) -> HTMLResponse:
    """A whole page, or the part of one that a page asks for again."""
    return HTMLResponse(text(request, template, **values), code, headers={"cache-control": "no-store"})


def text(request: Request, template: str, **values: Any) -> str:
    who = getattr(request.state, "actor", None)
    known: dict[str, Any] = {
        "me": who.id if who else None,
        "now": values.pop("now", None) or _now(request),
        "path": request.url.path,
        "query": request.query_params,
        "csrf": requests.csrf(request) if who else "",
        "version": __version__,
    }
    return _TEMPLATES.get_template(template).render({**known, **values})


def _now(request: Request) -> datetime:
    contexts = getattr(request.app.state, "contexts", None)
    return contexts.now() if contexts else clock.now()


_TITLES = {
    400: "That does not work", 401: "Log in first", 403: "Not permitted", 404: "Not found", 405: "Not done this way",
    409: "It is not as it was", 413: "Too large", 422: "Not supported", 429: "Too many attempts",
    503: "Not available now",
}  # fmt: skip


def problem(request: Request, error: errors.DoubleloopError, status: int | None = None) -> Response:
    """An error as a page: what, where, and the cure. In a part of a page it is one line."""
    status = status or error.status
    with contextlib.suppress(errors.DoubleloopError):
        requests.actor(request)
    part = request.headers.get("hx-request") == "true"
    return page(
        request, "problem_part.html" if part else "problem.html", status, error=error, status=status,
        heading=_TITLES.get(status, "Something went wrong"),
    )  # fmt: skip


class Headers:
    """Adds the security headers to every answer of the console."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
