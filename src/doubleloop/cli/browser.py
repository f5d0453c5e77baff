"""Logging in by a browser: the provider sends it to a port that we listen on, or a code is typed on another machine."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import secrets
import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from doubleloop.base import errors

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.sdk.client import Client

_DONE = b"<!doctype html><title>Doubleloop</title><p>You can close this window and go back to the terminal.</p>"
_ANSWERS = {"code", "state", "error"}


def has_browser() -> bool:
    """Whether a browser of this machine can be shown to the person in front of it."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return bool(os.environ.get("BROWSER"))
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def by_loopback(session: Session, client: Client, *, show: bool) -> dict[str, Any]:
    """RFC 8252: a port of our own, PKCE with a verifier that never leaves here until it is used."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Listener() as listener:
        begun = client.begin_oidc(f"http://127.0.0.1:{listener.server_address[1]}/callback", challenge)
        session.note(f"Log in here, on this machine:\n  {begun['url']}")
        if show:
            webbrowser.open(begun["url"])
        answer = listener.wait_for(begun["state"], float(begun["expires_in"]))
    if "error" in answer:
        raise errors.NotAuthenticated(f"The provider refused ({answer['error'][:80]})")
    return client.finish_oidc(begun["state"], answer.get("code", ""), verifier)


def by_device(session: Session, client: Client) -> dict[str, Any]:
    """RFC 8628: the code is typed wherever there is a browser."""
    begun = client.begin_device()
    where = begun.get("verification_uri_complete") or begun["verification_uri"]
    session.note(f"Log in on any machine:\n  {where}\nand give the code {begun['user_code']}.")
    pause, end = float(begun["interval"]), time.monotonic() + float(begun["expires_in"])
    while time.monotonic() < end:
        time.sleep(pause)
        found = client.finish_device(begun["state"])
        if "token" in found:
            return found
        pause = float(found["interval"])
    raise errors.NotAuthenticated("Nobody typed the code in time", cure="Begin again.")


class _Listener(http.server.HTTPServer):
    """Waits on a loopback port for the one request that carries our state."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[dict[str, str]] = []

    def wait_for(self, state: str, seconds: float) -> dict[str, str]:
        """The answer with this state; others, which any page could send here, are passed over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
            for answer in self.answers:
                if secrets.compare_digest(answer.get("state", "").encode(), state.encode()):
                    return answer
            self.answers.clear()
        raise errors.NotAuthenticated("Nobody logged in in time", cure="Begin again.")


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener
    # A connection that says nothing must not keep the real one waiting.
    timeout = 5.0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != "/callback":
            self.send_error(404)
            return
        self.server.answers.append({key: value[0] for key, value in parse_qs(parts.query).items() if key in _ANSWERS})
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_DONE)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(_DONE)

    def log_message(self, format: str, *args: Any) -> None:
        return
