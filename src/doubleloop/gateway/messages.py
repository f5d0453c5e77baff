"""One HTTP request and its response, as the handlers see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from doubleloop.base import errors

JSON = b"application/json"


@dataclass(slots=True)
class Request:
    """``headers`` have lower-case names. ``arrived``: ``time.perf_counter`` when the last byte was in;
    ``arrived_us``: the same moment in microseconds since 1970."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    arrived: float
    arrived_us: int
    query: str = ""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Events(Protocol):
    """A body that is sent as it is made. To be closed, also when its end was not waited for."""

    def __aiter__(self) -> Events: ...

    async def __anext__(self) -> bytes: ...

    def interrupt(self, error: errors.DoubleloopError) -> None:
        """Ends it soon, with this error."""
        ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Response:
    """``events``: what follows the head in place of ``body``."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    events: Events | None = None


def as_json(value: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value))


def failure(error: errors.DoubleloopError, request_id: str | None = None) -> Response:
    """The error as JSON, with Retry-After and WWW-Authenticate where they belong."""
    body = error.to_dict()
    if request_id is not None:
        body["error"]["request_id"] = request_id
    response = as_json(body, error.status)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers.append((b"retry-after", str(retry_after).encode()))
    if error.status == 401:
        response.headers.append((b"www-authenticate", b"Bearer"))
    return response
