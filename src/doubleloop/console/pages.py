"""The console: its pages, its errors, and how it is put beside the API."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

from doubleloop.base import errors
from doubleloop.console import (
    asks,
    audit,
    costs,
    datasets,
    jobs,
    labeling,
    login,
    models,
    overview,
    releases,
    rendering,
    requests,
    serving,
    watching,
)
from doubleloop.db.context import Contexts
from doubleloop.events.readings import Memory
from doubleloop.identity.limits import Limiter
from doubleloop.identity.strangers import Strangers
from doubleloop.settings.model import Settings

LOG = logging.getLogger("doubleloop.console")

STATIC = Path(__file__).parent / "static"
# Paths that belong to others on the same port: what they do not know is theirs to say.
NOT_OURS = ("/api", "/mlflow")

PARTS = (login, overview, asks, releases, jobs, serving, watching, costs, labeling, models, datasets, audit)


def create(
    contexts: Contexts,
    settings: Settings,
    limiter: Limiter | None = None,
    strangers: Strangers | None = None,
    readings: Memory | None = None,
) -> FastAPI:
    """The console as an application of its own. ``limiter``: of wrong passwords, ``strangers``: of refusals on record,
    ``readings``: of what is on record as read; when others count them as well."""
    app = FastAPI(title="Doubleloop console", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.contexts = contexts
    app.state.settings = settings
    app.state.limiter = limiter or Limiter()
    app.state.strangers = strangers or Strangers()
    app.state.readings = readings or Memory()
    app.add_middleware(rendering.Headers)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for part in PARTS:
        app.router.routes.extend(part.router.routes)
    app.add_exception_handler(errors.DoubleloopError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_crash)
    return app


class Beside(Mount):
    """Everything that is not another room's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        if any(path == each or path.startswith(f"{each}/") for each in NOT_OURS):
            return Match.NONE, {}
        return super().matches(scope)


def mount(app: FastAPI, contexts: Contexts, settings: Settings) -> None:
    """Put the console beside what ``app`` serves; call it after every other route is there."""
    console = create(contexts, settings, app.state.limiter, app.state.strangers, app.state.readings)
    app.router.routes.append(Beside("", console, name="console"))


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.DoubleloopError)
    if isinstance(error, errors.NotAuthenticated):
        return login.to_login(request)
    if isinstance(error, errors.NotPermitted):
        await anyio.to_thread.run_sync(requests.record_denial, request, error)
    return await _problem(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return await _problem(request, errors.InvalidInput(f"{place}: {first['msg']}"))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _problem(request, errors.NotFound("There is no such page", cure="Start from the overview."))
    return await _problem(request, errors.DoubleloopError(str(error.detail)), error.status_code)


async def _on_crash(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _problem(
        request, errors.DoubleloopError("Something went wrong here", cure="The log of the API says what.")
    )


async def _problem(request: Request, error: errors.DoubleloopError, *status: Any) -> Response:
    return await anyio.to_thread.run_sync(rendering.problem, request, error, *status)
