"""The least that a server can do: a fixed answer to each length of a request's body (``python echo.py PORT FILE``).

What the load generator gets out of it is its own ceiling. FILE: JSON, the answer's body by that length.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Echo(asyncio.Protocol):
    """A request is complete when as many bytes have come as its ``content-length`` says; nothing else is read."""

    def __init__(self, answers: dict[int, bytes]) -> None:
        self._answers = answers
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        at = data.lower().find(b"content-length: ", 0, end + 2)
        length = int(data[at + 16 : data.find(b"\r\n", at)]) if at >= 0 else 0
        if end < 0 or len(data) < end + 4 + length:
            self._buffer = data
            return
        self._buffer = b""
        self._transport.write(self._answers[length])  # type: ignore[attr-defined]


async def main(port: int, path: str) -> None:
    with open(path) as file:
        bodies = {int(length): body.encode() for length, body in json.load(file).items()}
    answers = {length: HEAD % len(body) + body for length, body in bodies.items()}
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
