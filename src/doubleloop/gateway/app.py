"""Paths to handlers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from doubleloop.base import errors
from doubleloop.gateway import (
    failures,
    inference_v2,
    labels,
    messages,
    openapi,
    prometheus,
    scoring,
)
from doubleloop.gateway import limits as limit
from doubleloop.gateway.routing import Route

logger = logging.getLogger(__name__)


# Where OpenAI's clients post to, below the address that they are given: ``score`` under other names.
OPENAI = (["v1", "chat", "completions"], ["v1", "completions"], ["v1", "responses"])


class State(Protocol):
    """Routes by endpoint key, and whether the process is stopping."""

    routes: dict[str, Route]
    stopping: bool


class App:
    """``metrics`` makes the text of ``/metrics``."""

    def __init__(self, state: State, limits: limit.Limits, metrics: Callable[[], Awaitable[str]]) -> None:
        self._state, self._limits, self._metrics = state, limits, metrics
        self._scoring = scoring.Scoring(limits)
        self._v2 = inference_v2.Protocol(self._scoring, limits)

    async def handle(self, request: messages.Request) -> messages.Response:
        """Never raises but for cancellation."""
        parts = request.path.split("/")[1:]
        if len(parts) >= 4 and parts[0] == "endpoints" and (len(parts) == 4 or parts[3] in ("v1", "v2")):
            parts = parts[1:]
        try:
            if len(parts) >= 3 and parts[2] == "v2":
                found = self._state.routes.get(f"{parts[0]}/{parts[1]}")
                if found is None:
                    raise errors.NotFound(f"there is no endpoint '{parts[0]}/{parts[1]}'")
                return await self._v2.answer(request, found, [part for part in parts[3:] if part])
            if parts[2:] in OPENAI:
                parts = [*parts[:2], "score"]
            if len(parts) == 3:
                route = self._state.routes.get(f"{parts[0]}/{parts[1]}")
                if route is None:
                    raise errors.NotFound(f"there is no endpoint '{parts[0]}/{parts[1]}'")
                if parts[2] == "score":
                    return await self._scoring.answer(request, route)
                return self._other(request, route, parts[2])
            return await self._process(request, parts)
        except errors.DoubleloopError as error:
            return messages.failure(error)
        except Exception as error:
            logger.exception("%s %s failed", request.method, request.path)
            return messages.failure(errors.Failed(f"internal error: {type(error).__name__}"))

    def _other(self, request: messages.Request, route: Route, last: str) -> messages.Response:
        try:
            if last == "labels":
                return labels.accept(request, route, self._limits)
            if last == "swagger.json":
                _only(request, "GET", "HEAD")
                route.authenticate(request.header(b"authorization"))
                wanted = request.header(b"azureml-model-deployment")
                return messages.as_json(openapi.describe(route, route.pick(wanted, lambda: 0.0)))
        except errors.DoubleloopError as error:
            route.refused[error.status] += 1
            raise
        raise errors.NotFound(f"'{last}' is not known here", cure="POST score, POST labels, GET swagger.json")

    async def _process(self, request: messages.Request, parts: list[str]) -> messages.Response:
        if parts == ["health"]:
            _only(request, "GET", "HEAD")
            if self._state.stopping:
                raise errors.Unavailable("the gateway is stopping")
            return messages.as_json({"status": "ok"})
        if parts == ["metrics"]:
            _only(request, "GET", "HEAD")
            return messages.Response(200, (await self._metrics()).encode(), prometheus.CONTENT_TYPE)
        raise errors.NotFound(
            f"'{request.path}' is not known", cure="POST /<workspace>/<endpoint>/score, GET /health, GET /metrics"
        )


def _only(request: messages.Request, *methods: str) -> None:
    if request.method not in methods:
        raise failures.WrongMethod(f"{request.method} is not allowed here", cure=f"send {methods[0]}")
