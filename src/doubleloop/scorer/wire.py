"""Frames on the socket between gateway and scorer.

A frame is ``>II`` (length of the header, length of the body, both in bytes, big endian), the header (to the scorer as
``marshal`` writes a dict, to the gateway as a JSON object), the body as bytes. The header's ``op`` says what it is; see
``process`` for the list.
"""

from __future__ import annotations

import json
import marshal
import os
import select
import socket
import struct
import threading
from typing import Any, Dict, List, Optional, Sequence, Tuple

LENGTHS = struct.Struct(">II")
# More would be fetched from the system and given back for each read.
CHUNK = 1 << 16
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_WRITTEN = {"op", "id", "ok", "ms", "batch"}

Frame = Tuple[Dict[str, Any], bytes]


class Closed(Exception):
    """The other side has gone."""


def _head(header: Dict[str, Any]) -> bytes:
    """As JSON. The library takes as long as a small model does, so what nearly every answer has is written out."""
    if header.get("ok") is True and header["op"] == "answer" and header.keys() <= _WRITTEN:
        text = '{"op":"answer","id":%d,"ok":true,"ms":%.3f' % (header["id"], header["ms"])
        if "batch" in header:
            text += ',"batch":%d' % header["batch"]
        return (text + "}").encode("ascii")
    return _ENCODE(header).encode("utf-8")


class Connection:
    """Blocking frames over one connected unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._sending = threading.Lock()  # what a script collects is sent by a thread of its own

    def send(self, header: Dict[str, Any], body: bytes = b"") -> None:
        self.send_all([(header, body)])

    def send_all(self, frames: Sequence[Frame]) -> None:
        """In one write: the gateway wakes once for what was scored together. Raises Closed."""
        parts = []  # type: List[bytes]
        for header, body in frames:
            head = _head(header)
            parts += (LENGTHS.pack(len(head), len(body)), head, body)
        try:
            with self._sending:
                self._sock.sendall(b"".join(parts))
        except OSError as error:
            raise Closed(str(error)) from error

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def receive(self) -> List[Frame]:
        """At least one frame; waits for it. Raises Closed."""
        frames = self._frames()
        while not frames:
            self._fill()
            frames = self._frames()
        return frames

    def waiting(self) -> List[Frame]:
        """The frames that have arrived already; never waits. Raises Closed."""
        while select.select([self._sock], [], [], 0)[0]:
            self._fill()
        return self._frames()

    def _frames(self) -> List[Frame]:
        frames = []  # type: List[Frame]
        frame = self._take()
        while frame is not None:
            frames.append(frame)
            frame = self._take()
        return frames

    def _fill(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except OSError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("the gateway closed the connection")
        self._buffer += data

    def _take(self) -> Optional[Frame]:
        if len(self._buffer) < LENGTHS.size:
            return None
        head, body = LENGTHS.unpack_from(self._buffer)
        end = LENGTHS.size + head + body
        if len(self._buffer) < end:
            return None
        header = marshal.loads(self._buffer[LENGTHS.size : LENGTHS.size + head])
        content = bytes(self._buffer[LENGTHS.size + head : end])
        del self._buffer[:end]
        return header, content


def connected(path: str) -> socket.socket:
    """Connects by the socket's base name from its folder: the path of a unix socket may not exceed 107 bytes."""
    before = os.getcwd()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(os.path.dirname(os.path.abspath(path)))
    try:
        sock.connect(os.path.basename(path))
    finally:
        os.chdir(before)
    return sock


class Connections:
    """The gateway's processes: the first, which started this one and whose end is its end, and those it names."""

    def __init__(self, first: Connection) -> None:
        self.first = first
        self._others = []  # type: List[Connection]

    def add(self, connection: Connection) -> None:
        self._others.append(connection)

    def has(self, connection: Connection) -> bool:
        return connection is self.first or connection in self._others

    def receive(self, wait: bool) -> List[Tuple[Connection, Frame]]:
        """What has arrived, each frame with where it came from; waits, when told to, for the first, or for one of the
        others to go. Raises Closed."""
        if not self._others:
            frames = self.first.receive() if wait else self.first.waiting()
            return [(self.first, frame) for frame in frames]
        found = []  # type: List[Tuple[Connection, Frame]]
        before = len(self._others)
        while True:
            waits = wait and not found and len(self._others) == before
            readable = select.select([self.first, *self._others], [], [], None if waits else 0)[0]
            if not readable:
                return found
            for connection in readable:
                found += [(connection, frame) for frame in self._read(connection)]

    def _read(self, connection: Connection) -> List[Frame]:
        try:
            return connection.waiting()
        except Closed:
            if connection is self.first:
                raise
            self.drop(connection)
            return []

    def drop(self, connection: Connection) -> None:
        """It has gone: nobody there waits for an answer."""
        if connection in self._others:
            self._others.remove(connection)
            connection.close()
