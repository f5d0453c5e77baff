"""A real HTTP server with the server's own blob store and otherwise the answers that a test gives it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from doubleloop.base import errors
from doubleloop.storage import ports
from doubleloop.storage.local import LocalBlobs

TOKEN = "dl_secret-of-ada"


@dataclass(frozen=True)
class Seen:
    """A request as it came in; ``path`` is encoded still, without its query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # Cut the connection after so many bytes of the answer, or before any of it (0).
    cut: int | None = None


Answer = Any | Reply | Callable[[Seen], Any]


@dataclass
class SmallServer:
    """``on(method, path, *answers)``: the answers in turn, the last one for ever; a path may hold ``*``."""

    blobs: LocalBlobs
    seen: list[Seen] = field(default_factory=list)
    put_limit: int | None = None
    _answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, "/api/v1/" + path] = list(answers)

    def requests(self, method: str, path: str) -> list[Seen]:
        """Those seen so far; ``path`` is a regular expression for what follows /api/v1/."""
        return [each for each in self.seen if each.method == method and re.fullmatch("/api/v1/" + path, each.path)]

    def answer(self, request: Seen) -> Reply:
        with self._lock:
            self.seen.append(request)
            found = self._find(request)
            if found is not None:
                given = found[0] if len(found) == 1 else found.pop(0)
                value = given(request) if callable(given) else given
                return value if isinstance(value, Reply) else Reply(200, value)
        try:
            return self._bytes(request)
        except errors.DoubleloopError as error:
            return Reply(error.status, error.to_dict())

    def _find(self, request: Seen) -> list[Answer] | None:
        for (method, path), answers in self._answers.items():
            pattern = "[^/]+".join(re.escape(part) for part in path.split("*"))
            if method == request.method and re.fullmatch(pattern, request.path):
                return answers
        return None

    def _bytes(self, request: Seen) -> Reply:
        match request.method, request.path.removeprefix("/api/v1/").split("/"):
            case "POST", ["blobs", "missing"]:
                return Reply(200, {"missing": [each for each in request.json["sha256"] if not self.blobs.has(each)]})
            case "PUT", ["blobs", sha256]:
                if self.put_limit is not None and len(self.requests("PUT", "blobs/.*")) > self.put_limit:
                    return Reply(500, None, cut=0)
                self.blobs.put(BytesIO(request.body), sha256)
                return Reply(200, {"sha256": sha256, "size": len(request.body)})
            case "GET", ["blobs", sha256]:
                return Reply(200, self.blobs.read(sha256))
            case "POST", ["trees"]:
                entries = tuple(ports.Entry(*each) for each in request.json["entries"])
                tree = self.blobs.put_entries(entries)
                return Reply(200, {"sha256": tree.sha256, "size": tree.size, "files": len(tree.entries)})
            case "GET", ["trees", sha256]:
                tree = self.blobs.tree(sha256)
                entries_ = [[each.path, each.sha256, each.size, each.executable] for each in tree.entries]
                return Reply(200, {"sha256": sha256, "entries": entries_})
        raise errors.NotFound(f"no route {request.method} {unquote(request.path)}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        reply = self.server.small.answer(Seen(self.command, parts.path, query, headers, self.rfile.read(length)))
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.cut == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(content)))
        for key, value in reply.headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content[: reply.cut])
        self.close_connection = self.close_connection or reply.cut is not None

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    small: SmallServer


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[SmallServer]:
    small = SmallServer(LocalBlobs(folder / "blobs"))
    with listening(small, port):
        yield small


@contextmanager
def listening(small: SmallServer, port: int = 0) -> Iterator[SmallServer]:
    server = _Server(("127.0.0.1", port), _Handler)
    server.small = small
    small.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield small
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
