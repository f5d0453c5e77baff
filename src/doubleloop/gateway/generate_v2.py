"""Triton's generate extension of the Open Inference Protocol: a text in, a text out, at once or piece by piece
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from doubleloop.base import errors
from doubleloop.gateway import failures, messages, payloads, streaming
from doubleloop.gateway import limits as limit
from doubleloop.gateway.answering import Answering

_CURE = 'send {"text_input": "...", "parameters": {...}}'
TEXT = "text_input"


@dataclass(frozen=True)
class Asked:
    """``body``: the same in our own form. ``id`` is given back in the answers."""

    body: bytes
    id: str | None


def read(body: bytes, running: Answering, stream: bool, limits: limit.Limits) -> Asked:
    """``text_input`` is the model's column of that name, or else the one text that it must be given. Other fields are
    columns, or parameters. Raises errors.InvalidInput."""
    value = payloads.decode(body, limits, _CURE)
    if not isinstance(value, dict) or not isinstance(value.get(TEXT), str):
        raise failures.shape(f"the body is no object with a text as '{TEXT}'", cure=_CURE)
    given = {key: each for key, each in value.items() if key not in (TEXT, "parameters", "id")}
    params = value.get("parameters") or {}
    if not isinstance(params, dict):
        raise failures.shape(f"'parameters' is {failures.describe(params)}, not an object", cure=_CURE)
    signature = (running.contract.signature if running.contract is not None else None) or {"inputs": []}
    columns = {str(spec["name"]) for spec in signature["inputs"] if spec.get("name") is not None}
    known = {str(spec.get("name")) for spec in signature.get("params") or []}
    params = {**{key: each for key, each in given.items() if key not in columns}, **params}
    if "stream" not in known:  # the path says it
        params.pop("stream", None)
    column = _column(signature["inputs"])
    others = {key: each for key, each in given.items() if key in columns}
    row = [value[TEXT]] if column is None else {**others, column: value[TEXT]}
    asked = {"input_data": [row], "stream": stream, **({"params": params} if params else {})}
    id_ = value.get("id")
    return Asked(orjson.dumps(asked), id_ if isinstance(id_, str) else None)


def _column(inputs: list[dict[str, Any]]) -> str | None:
    """None where columns have no names."""
    texts = [spec for spec in inputs if spec.get("type") == "string"]
    needed = [spec for spec in texts if spec.get("required", True)]
    for found in ([spec for spec in texts if spec.get("name") == TEXT], needed, texts):
        if len(found) == 1:
            return None if found[0].get("name") is None else str(found[0]["name"])
    raise errors.InvalidInput(
        f"the model's signature has {len(needed)} texts that must be given, so '{TEXT}' could be none or any of them",
        cure="use infer, or POST score",
    )


class Texts:
    """The form of answers: ``{"model_name", "model_version", "text_output"}``, and ``{"error": text}``."""

    def __init__(self, name: str, version: str, id_: str | None) -> None:
        self._told = {"model_name": name, "model_version": version, **({"id": id_} if id_ is not None else {})}

    def whole(self, body: bytes) -> bytes:
        """Of an answer that is not streamed: a list of one."""
        found = orjson.loads(body)
        first = found[0] if isinstance(found, list) and found else found
        return self._text(streaming.text_of(first), first)

    def piece(self, content: bytes) -> bytes:
        value = orjson.loads(content)
        return b"data: %b\n\n" % self._text(streaming.text_of(value), value)

    def end(self) -> bytes:
        """A last response that adds nothing: clients of this protocol know no other end."""
        return b"event: end\ndata: %b\n\n" % self._text("", None)

    def failed(self, response: messages.Response) -> bytes:
        return b"event: error\ndata: %b\n\n" % failure(response).body

    def _text(self, text: str | None, value: Any) -> bytes:
        return orjson.dumps({**self._told, "text_output": orjson.dumps(value).decode() if text is None else text})


def failure(response: messages.Response) -> messages.Response:
    """Our error in the protocol's form: one text."""
    told = orjson.loads(response.body)["error"]
    cure = f" ({told['cure']})" if told.get("cure") else ""
    response.body = orjson.dumps({"error": f"{told['message']}{cure}"})
    return response
