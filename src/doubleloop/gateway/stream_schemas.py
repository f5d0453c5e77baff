"""What an endpoint says of its answers piece by piece, where its model has them."""

from __future__ import annotations

from typing import Any

_EVENTS = (
    "One row, piece by piece, as server-sent events. Each piece is an event whose data are JSON: a text, or an object "
    "that the model made. The event 'end' with the data [DONE] ends the answer; the event 'error' ends it early, its "
    "data are the body of an error."
)
_EXAMPLE = 'data: "Once upon"\n\ndata: " a time"\n\nevent: end\ndata: [DONE]\n\n'


def describe(operation: dict[str, Any]) -> None:
    """Say in ``operation`` how to ask for it, and what comes."""
    body = operation["requestBody"]["content"].get("application/json", {}).get("schema", {})
    body.setdefault("properties", {})["stream"] = {
        "type": "boolean", "default": False, "description": "Answer piece by piece; as 'Accept: text/event-stream'",
    }  # fmt: skip
    operation["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {"type": "string", "description": _EVENTS},
        "example": _EXAMPLE,
    }
