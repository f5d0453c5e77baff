"""The application: routers, errors, the door to MLflow, the console."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from doubleloop import __version__
from doubleloop.api import (
    access,
    alerts,
    assets,
    audit,
    batch,
    blobs,
    bundles,
    components,
    costs,
    endpoints,
    installation,
    jobs,
    labeling,
    logins,
    mlflow,
    releases,
    requests,
    routing,
    secrets,
    setups,
    watching,
)
from doubleloop.base import errors, sockets
from doubleloop.db.context import Contexts
from doubleloop.events.readings import Memory
from doubleloop.identity.limits import Limiter
from doubleloop.identity.strangers import Strangers
from doubleloop.settings.model import Settings

LOG = logging.getLogger("doubleloop.api")

ROUTERS = (
    installation,
    audit,
    logins,
    setups,
    access,
    blobs,
    assets,
    components,
    jobs,
    endpoints,
    batch,
    watching,
    alerts,
    costs,
    labeling,
    releases,
    bundles,
    secrets,
)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# Handlers are plain functions that block on the database: that many may do so at once.
THREADS = 64


def create(contexts: Contexts, settings: Settings) -> FastAPI:
    """The API over these contexts. Raises RuntimeError for a route that names no action."""
    proxy = mlflow.Proxy(sockets.address(settings.mlflow_socket))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        await proxy.close()

    app = FastAPI(title="Doubleloop", version=__version__, lifespan=lifespan, openapi_url=None)
    app.state.contexts = contexts
    app.state.settings = settings
    app.state.readings = Memory()
    app.state.limiter = Limiter()
    app.state.strangers = Strangers()
    # The routes themselves: an included router makes each of its routes anew at the first request, for every app.
    for module in ROUTERS:
        app.router.routes.extend(module.router.routes)
    app.add_exception_handler(errors.DoubleloopError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_crash)

    async def to_mlflow(request: Request) -> Response:
        return await proxy(request)

    app.add_route("/mlflow", to_mlflow, methods=METHODS, include_in_schema=False)
    app.add_route("/mlflow/{path:path}", to_mlflow, methods=METHODS, include_in_schema=False)
    routing.check(app)
    return app


def _answer(error: errors.DoubleloopError) -> JSONResponse:
    headers = {"retry-after": "2"} if isinstance(error, errors.Unavailable) else None
    if isinstance(error, errors.TooManyTries):
        headers = {"retry-after": str(error.seconds)}
    return JSONResponse(error.to_dict(), status_code=error.status, headers=headers)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.DoubleloopError)
    if isinstance(error, errors.NotPermitted | errors.NotAuthenticated | errors.TooManyTries):
        actor = getattr(request.state, "actor", None)
        await anyio.to_thread.run_sync(requests.record_denial, request, error, actor)
    return _answer(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _answer(errors.InvalidInput(f"{place}: {first['msg']}"))


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, errors.DoubleloopError):  # from reading a body, which FastAPI calls a parse error
        return _answer(error.__cause__)
    known = {kind.status: code for code, kind in errors.BY_CODE.items()}
    code = known.get(error.status_code, "invalid_input" if error.status_code < 500 else "error")
    body: dict[str, Any] = {"error": {"code": code, "message": error.detail}}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _on_crash(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        {"error": {"code": "error", "message": "Something went wrong here; the log of the API says what."}}, 500
    )
