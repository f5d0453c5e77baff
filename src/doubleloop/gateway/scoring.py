"""The request path: who may ask, which deployment answers, what is counted, and copies for others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from doubleloop.base import errors
from doubleloop.gateway import attempts, failures, messages, request_ids, streaming
from doubleloop.gateway import limits as limit
from doubleloop.gateway.answering import Answering
from doubleloop.gateway.routing import Route

logger = logging.getLogger(__name__)


class Scoring:
    def __init__(self, limits: limit.Limits) -> None:
        self._limits = limits
        self.ids = request_ids.RequestIds()
        self._copies: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: messages.Request, route: Route, form: streaming.Form = streaming.EVENTS
    ) -> messages.Response:
        """Never raises but for cancellation (the caller has gone). ``form``: of what is streamed."""
        request_id = self.ids.choose(request.headers)
        try:
            route.authenticate(request.header(b"authorization"))
            running = None if request.method != "POST" else route.pick(request.header(b"azureml-model-deployment"))
            if running is None and request.method == "GET":
                picked = route.pick(request.header(b"azureml-model-deployment"))
                running = picked if picked.raw else None
            if running is None:
                raise failures.WrongMethod(f"{request.method} is not allowed here", cure="send a POST")
        except errors.DoubleloopError as error:
            route.refused[error.status] += 1
            route.tally.add(error.status, 0.0, time.time())
            return _identified(messages.failure(error, request_id), request, request_id)
        if route.endpoint.mirror_traffic:
            self._mirror(request, route, running, request_id)
        attempt = attempts.Attempt(request, running, request_id, False, form)
        response = await self._score(attempt)
        # For objectives, what is streamed has the latency of its first piece: its length is what was asked for.
        milliseconds = attempt.milliseconds()
        if response.events is None:
            route.tally.add(response.status, milliseconds, time.time())
        else:
            attempt.ended = lambda status: route.tally.add(status, milliseconds, time.time())
        response.headers += [
            (b"azureml-model-deployment", running.name.encode()),
            (b"x-model-version", running.deployment.model_version.encode("latin-1", "replace")),
        ]
        return _identified(response, request, request_id)

    def _mirror(self, request: messages.Request, route: Route, picked: Answering, request_id: str) -> None:
        for copy in route.mirrors(picked):
            task = asyncio.create_task(self._copy(attempts.Attempt(request, copy, request_id, True, streaming.EVENTS)))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _copy(self, attempt: attempts.Attempt) -> None:
        """Nobody waits for the answer; one that is streamed is made to its end all the same, for the log."""
        response = await self._score(attempt)
        if response.events is not None:
            async with contextlib.aclosing(response.events) as events:
                async for _ in events:
                    pass

    async def _score(self, attempt: attempts.Attempt) -> messages.Response:
        """What is streamed is counted when it is over."""
        counts = attempt.counts
        counts.entered()
        response = None
        try:
            try:
                response = await attempt.run(self._limits)
            except errors.DoubleloopError as error:
                response = attempt.failed(error)
            except asyncio.CancelledError:
                counts.cancelled += 1
                raise
            except Exception as error:
                logger.exception("request %s to %s failed", attempt.id, attempt.name)
                response = attempt.failed(errors.Failed(f"internal error: {type(error).__name__}"))
            if response.events is None:
                counts.answered(response.status, attempt.milliseconds())
            return response
        finally:
            if response is None or response.events is None:
                counts.left()


def _identified(response: messages.Response, request: messages.Request, request_id: str) -> messages.Response:
    response.headers.append((b"x-request-id", request_id.encode()))
    given = request.headers.get(request_ids.HEADERS[0])
    if given is not None and request_ids.SANE.match(given):
        response.headers.append((request_ids.HEADERS[0], given))
    return response
