"""Answers piece by piece, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each piece is an event of its own whose data are JSON: a text, or the mapping that the model made. The event ``end`` has
the data ``[DONE]``, as clients of OpenAI's API expect the last one; the event ``error`` has the body of an ordinary
error. One of the two ends every answer: without it, the connection broke.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from doubleloop.base import errors
from doubleloop.gateway import failures, flow, messages

logger = logging.getLogger(__name__)

MEDIA = b"text/event-stream"
CONTENT_TYPE = MEDIA + b"; charset=utf-8"
# Nothing between us and the caller is to keep pieces back: the second is for nginx.
HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
# What the log says of an answer whose caller did not wait for its end; nginx has it so.
CALLER_LEFT = 499
_QUALITY = re.compile(r";\s*q=([01](?:\.\d*)?)")


class Form(Protocol):
    """How pieces, the end and an error look on the wire."""

    def piece(self, content: bytes) -> bytes: ...

    def end(self) -> bytes: ...

    def failed(self, response: messages.Response) -> bytes: ...


class Events:
    def piece(self, content: bytes) -> bytes:
        return b"data: %b\n\n" % content

    def end(self) -> bytes:
        return b"event: end\ndata: [DONE]\n\n"

    def failed(self, response: messages.Response) -> bytes:
        return b"event: error\ndata: %b\n\n" % response.body


EVENTS = Events()


class Attempt(Protocol):
    """What the answer is an answer to."""

    def milliseconds(self) -> float: ...

    def log(self, status: int, error: str | None) -> None: ...

    def failed(self, error: errors.DoubleloopError) -> messages.Response: ...


class Streamed:
    """The events of one answer. ``ended(status)`` is called once, when the last one is made or nobody waits for it."""

    def __init__(
        self, source: flow.Flow, attempt: Attempt, form: Form, most: int, ended: Callable[[int], None]
    ) -> None:  # fmt: skip
        """``most``: bytes of all pieces, which are kept for the log until the end."""
        self._flow, self._attempt, self._form, self._most, self._ended = source, attempt, form, most, ended
        self._first: bytes | flow.Answer | None = None
        self._kept: list[bytes] = []
        self._bytes = 0
        self._over = False
        self.first_ms: float | None = None

    @property
    def pieces(self) -> int:
        return len(self._kept)

    async def begin(self) -> None:
        """Waits for the first piece. Raises what keeps it from coming: then it is an ordinary error."""
        self._first = await self._flow.following()
        if isinstance(self._first, bytes):
            self.first_ms = self._attempt.milliseconds()
        else:
            check(self._first[0])

    def output(self) -> bytes:
        """The answer as the log keeps it: one row."""
        return joined(self._kept)

    def __aiter__(self) -> Streamed:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._next()
        except errors.DoubleloopError as error:
            return self._fail(error)
        except Exception as error:
            logger.exception("an answer that is streamed failed")
            return self._fail(errors.Failed(f"internal error: {type(error).__name__}"))

    async def _next(self) -> bytes:
        found = self._first if self._first is not None else await self._flow.following()
        self._first = None
        if isinstance(found, bytes):
            self._keep(found)
            return self._form.piece(found)
        check(found[0])
        self._attempt.log(200, None)  # before the caller is told that it is whole
        self._finish(200)
        return self._form.end()

    def _keep(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._most:
            raise errors.Failed(
                f"the answer has more than {self._most} bytes", cure="ask for less, or raise --max-stream-bytes"
            )
        self._kept.append(piece)

    def _fail(self, error: errors.DoubleloopError) -> bytes:
        response = self._attempt.failed(error)
        self._finish(response.status)
        return self._form.failed(response)

    def interrupt(self, error: errors.DoubleloopError) -> None:
        """Ends it with an error after the pieces that are here."""
        self._flow.interrupt(error)

    async def aclose(self) -> None:
        """Nobody waits any more: the model is stopped."""
        if not self._over:
            try:
                self._attempt.log(CALLER_LEFT, f"caller_left: the caller went away after {self.pieces} pieces")
            except errors.Unavailable:
                logger.warning("an answer whose caller left is not logged")
            self._finish(CALLER_LEFT)

    def _finish(self, status: int) -> None:
        self._over = True
        self._flow.close()
        self._ended(status)


def check(answer: dict[str, Any]) -> None:
    """Raises what a scorer reports, as the caller is told of it."""
    if answer["ok"]:
        return
    report = answer["error"]
    what = f"{report['kind']}: {report['message']}"
    if answer.get("caller"):
        raise errors.InvalidInput(what)
    raise failures.ModelRaised(f"the model raised {what}", cure="the deployment's log has the traceback")


def accepted(request: messages.Request) -> tuple[bool, bool]:
    """Whether the caller would rather have events than JSON, and whether it takes JSON at all (RFC 9110, 12.5.1)."""
    given = request.header(b"accept")
    if given is None or "text/event-stream" not in given:
        return False, True
    qualities = {}
    for part in given.lower().split(","):
        kind, _, parameters = part.strip().partition(";")
        found = _QUALITY.search(";" + parameters)
        qualities[kind.strip()] = float(found[1]) if found else 1.0
    json = qualities.get("application/json", 0.0)
    others = max(json, qualities.get("application/*", 0.0), qualities.get("*/*", 0.0))
    return qualities.get("text/event-stream", 0.0) > json, others > 0


def joined(pieces: list[bytes]) -> bytes:
    """A list of the one answer: the texts of the pieces behind one another, or all of them as JSON where they have
    none."""
    values = [orjson.loads(piece) for piece in pieces]
    texts = [text_of(value) for value in values]
    whole = "".join(text for text in texts if text is not None)
    if values and all(text is None for text in texts):
        whole = orjson.dumps(values).decode()
    return orjson.dumps([whole])


def text_of(piece: Any) -> str | None:
    """The text that a piece adds: itself, or what the mappings of MLflow's and OpenAI's chat models have it in (of what
    repeats the whole answer at its end, nothing)."""
    if isinstance(piece, str):
        return piece
    if not isinstance(piece, dict):
        return None
    choices = piece.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return text_of(choices[0])
    for name in ("prediction", "text", "content", "delta"):
        found = piece.get(name)
        if isinstance(found, str | dict):
            return text_of(found)
    return None
