"""Server-sent events, read as they come: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from doubleloop.base import errors

MEDIA = "text/event-stream"


def pieces(response: HTTPResponse) -> Iterator[Any]:
    """What an endpoint streams: texts, or what else the model's pieces are.

    Raises the error that the answer ends with, Unavailable when it ends without one and is not whole.
    """
    for name, data in read(response):
        if name == "end":
            return
        if name == "error":
            raise errors.from_dict(_json(data))
        yield _json(data)
    raise errors.Unavailable("The answer broke off before its end", cure="See the gateway's log.")


def read(response: HTTPResponse) -> Iterator[tuple[str, str]]:
    """Name and data of each event; what is not ended by an empty line is none."""
    name, data = "", list[str]()
    for line in iter(response.readline, b""):
        field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line.strip():
            if data:
                yield name or "message", "\n".join(data)
            name, data = "", []


def _json(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise errors.Unavailable(
            "The answer broke off in the middle of a piece", cure="See the gateway's log."
        ) from None
