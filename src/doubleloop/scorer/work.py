"""What a scorer does from when it is ready: the frames that come, and the requests that they hold, one at a time."""

from __future__ import annotations

import collections
import json
import os
import traceback
from typing import Any, Dict, List, Optional, Tuple

from . import scored, streaming, wire


class Work:
    """Single-threaded on purpose: some libraries insist on the main thread, and nothing competes for the GIL.
    Before each request, and each piece of a streamed one, the sockets are emptied, so that a cancel overtakes what it
    cancels."""

    def __init__(self, first: wire.Connection, model: Any, token: str = "") -> None:
        self._connections = wire.Connections(first)
        self._model, self._token = model, token
        self._queue = collections.deque()  # type: collections.deque[scored.Request]
        self._stream = None  # type: Optional[streaming.Stream]
        self._given = None  # type: Any
        self._stopped = False

    def run(self) -> None:
        """Until the gateway says stop. Raises wire.Closed when it has gone."""
        while True:
            for connection, (header, body) in self._connections.receive(wait=not self._busy):
                self._take(connection, header, body)
            if self._stopped:
                return
            if self._stream is not None and not self._connections.has(self._stream.connection):
                self._end_stream(self._stream)
            if self._stream is not None:
                if not self._stream.waits:
                    self._go_on(self._stream)
            elif self._queue:
                self._next()
            elif self._given is not None:
                given, self._given = self._given, None
                self._tell(_review_of(self._model, *given))

    @property
    def _busy(self) -> bool:
        return bool(self._queue) if self._stream is None else not self._stream.waits

    def _take(self, connection: wire.Connection, header: Dict[str, Any], body: bytes) -> None:
        op = header.get("op")
        if op == "score":
            self._queue.append((connection, header, body))
        elif op == "more":
            if self._is_streamed(connection, header["id"]):
                self._stream.more(header["room"])  # type: ignore[union-attr]
        elif op == "cancel":
            self._cancel(connection, header)
        elif op == "ping":
            connection.send({"op": "pong"})
        elif op == "stop":
            self._stopped = True
        elif op == "review":
            self._given = header, body
        elif op == "native":
            getattr(self._model, "give_up_plan", lambda why: None)(header["why"])
        elif op == "join":
            _join(self._connections, header["socket"], self._token)

    def _next(self) -> None:
        connection, header, _ = self._queue[0]
        if "stream" in header:
            self._queue.popleft()
            self._stream = streaming.Stream(connection, header, self._model)
            return
        _send(self._connections, scored.some(self._model, self._queue))
        if not self._queue:
            self._tell(self._model.review() if hasattr(self._model, "review") else None)

    def _go_on(self, stream: streaming.Stream) -> None:
        """One piece more of it, or its end."""
        try:
            content = stream.following()
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            self._end_stream(stream, stream.answer(**scored.failed(error)))
            return
        if content is None:
            self._end_stream(stream, stream.answer(ok=True))
        else:
            _send_to(self._connections, stream.connection, [stream.frame(content)])

    def _end_stream(self, stream: streaming.Stream, answer: Optional[Dict[str, Any]] = None) -> None:
        stream.close()
        self._stream = None
        if answer is not None:
            _send_to(self._connections, stream.connection, [(answer, b"")])

    def _is_streamed(self, connection: wire.Connection, id_: int) -> bool:
        return self._stream is not None and self._stream.connection is connection and self._stream.id == id_

    def _cancel(self, connection: wire.Connection, header: Dict[str, Any]) -> None:
        """Its sender hears of it when it asked to."""
        found = self._is_streamed(connection, header["id"])
        if found:
            self._end_stream(self._stream)  # type: ignore[arg-type]
        else:
            left = [each for each in self._queue if not (each[0] is connection and each[1]["id"] == header["id"])]
            found = len(left) < len(self._queue)
            self._queue = collections.deque(left)
        if found and header.get("answer"):
            error = {"kind": "Cancelled", "message": "nobody waits for it", "traceback": ""}
            connection.send({"op": "answer", "id": header["id"], "ok": False, "error": error, "ms": 0})

    def _tell(self, wrong: Any) -> None:
        if wrong is not None:
            self._connections.first.send({"op": "disagreed", **wrong})


def _join(connections: wire.Connections, path: str, token: str) -> None:
    """Answer one more process of the gateway. One that has gone meanwhile is let be."""
    try:
        other = wire.Connection(wire.connected(path))
        other.send({"op": "hello", "token": token, "pid": os.getpid()})
    except (OSError, wire.Closed):
        traceback.print_exc()
        return
    connections.add(other)


def _send(connections: wire.Connections, answered: List[scored.Scored]) -> None:
    """To each process its own answers, in one write; the first of all says how many were scored together."""
    answered[0][1]["batch"] = len(answered)
    answers_of: Dict[int, Tuple[wire.Connection, List[wire.Frame]]] = {}
    for connection, header, body in answered:
        answers_of.setdefault(id(connection), (connection, []))[1].append((header, body))
    for connection, frames in answers_of.values():
        _send_to(connections, connection, frames)


def _send_to(connections: wire.Connections, connection: wire.Connection, frames: List[wire.Frame]) -> None:
    try:
        connection.send_all(frames)
    except wire.Closed:
        if connection is connections.first:
            raise
        connections.drop(connection)


def _review_of(model: Any, header: Dict[str, Any], body: bytes) -> Any:
    if not hasattr(model, "review_of"):
        return None
    return model.review_of(header["input"], header["rows"], json.loads(body.decode("utf-8")))
