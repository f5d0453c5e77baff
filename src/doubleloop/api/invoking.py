"""The gateway's answers to calls that come through the API: whole, or as server-sent events while they are made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
from fastapi import Response
from fastapi.responses import StreamingResponse

from doubleloop.base import errors

EVENTS = "text/event-stream"
_BACK = (
    "content-type", "x-request-id", "azureml-model-deployment", "x-model-version", "retry-after", "cache-control",
    "x-accel-buffering",
)  # fmt: skip


async def passed_on(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> Response:
    """What is posted to ``url``, and its answer. The client is closed with it. Raises httpx.HTTPError."""
    streamed = False
    try:
        answer = await client.send(client.build_request("POST", url, content=body, headers=headers), stream=True)
        back = {each: answer.headers[each] for each in _BACK if each in answer.headers}
        streamed = back.get("content-type", "").startswith(EVENTS)
        if streamed:
            return StreamingResponse(_events(client, answer), answer.status_code, back)
        return Response(await answer.aread(), answer.status_code, back)
    finally:
        if not streamed:
            await client.aclose()


async def _events(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    """Closed when the caller goes away: then the gateway hears of it, too."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        failed = errors.Unavailable(f"The gateway ended in the middle of the answer ({type(error).__name__})")
        yield f"\n\nevent: error\ndata: {json.dumps(failed.to_dict())}\n\n".encode()
    finally:
        await answer.aclose()
        await client.aclose()
