"""A server that speaks what HashiCorp documents of KV version 2 and Transit, over real HTTP, with Vault's own answers
to what is wrong: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and …/secret/transit."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import fernet

TOKEN = "hvs.a-token-of-the-tests"


@dataclass
class Server:
    url: str = ""
    sealed: bool = False
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    transit: dict[int, fernet.Fernet] = field(default_factory=lambda: {1: fernet.Fernet(fernet.Fernet.generate_key())})

    def answer(self, method: str, target: str, body: dict[str, Any], token: str | None) -> tuple[int, dict[str, Any]]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        parts = urlsplit(target)
        _, _, mount, verb, path = parts.path.split("/", 4)
        if mount == "transit":
            return self._transit(verb, body)
        if mount != "secret":
            return 404, {"errors": [f'no handler for route "{mount}/{verb}/{path}". route entry not found.']}
        return self._kv(method, verb, path, body, parse_qs(parts.query))

    def _kv(self, method: str, verb: str, path: str, body: dict[str, Any], query: Any) -> tuple[int, dict[str, Any]]:
        found = self.versions.setdefault(path, [])
        if (method, verb) == ("POST", "data"):
            found.append({"data": body["data"], "destroyed": False})
            meta = {"created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False}
            return 200, {"request_id": "r", "data": {**meta, "custom_metadata": None, "version": len(found)}}
        if (method, verb) == ("GET", "data"):
            number = int(query.get("version", ["0"])[0]) or len(found)
            if not 1 <= number <= len(found):
                return 404, {"errors": []}
            each = found[number - 1]
            meta = {"created_time": "2026-01-01T00:00:00Z", "destroyed": each["destroyed"], "version": number}
            data = None if each["destroyed"] else each["data"]
            return (404 if each["destroyed"] else 200), {"data": {"data": data, "metadata": meta}}
        if (method, verb) in (("PUT", "destroy"), ("POST", "destroy")):
            for number in body["versions"]:
                found[number - 1] = {"data": None, "destroyed": True}
            return 204, {}
        return 405, {"errors": ["unsupported operation"]}

    def _transit(self, verb: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        newest = max(self.transit)
        if verb == "encrypt":
            sealed = self.transit[newest].encrypt(base64.b64decode(body["plaintext"])).decode()
            return 200, {"data": {"ciphertext": f"vault:v{newest}:{sealed}", "key_version": newest}}
        try:
            _, number, sealed = body["ciphertext"].split(":", 2)
            plain = self.transit[int(number[1:])].decrypt(sealed.encode())
        except (ValueError, KeyError, fernet.InvalidToken):
            return 400, {"errors": ["invalid ciphertext: unable to decrypt"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@contextmanager
def running() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            state.headers.append(dict(self.headers))
            status, answer = state.answer(self.command, self.path, body, self.headers.get("X-Vault-Token"))
            content = b"" if status == 204 else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _do

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
