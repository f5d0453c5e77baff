"""An OpenID Connect provider over real HTTP: codes with PKCE, device grants, keys that rotate; honest unless a test
asks for something else. It checks what it is sent, as a provider does, and signs with joserfc."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import uvicorn
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwk, jwt

CLIENT, SECRET = "doubleloop", "s3cr3t/with:odd%characters"


def digest(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "none", "typ": "JWT", **header}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


@dataclass
class Site:
    """``person`` is who is in front of the browser; ``change`` alters claims, ``sign`` makes the token."""

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "u-1", "preferred_username": "mary"})
    info: dict[str, Any] | None = None
    change: Callable[[dict[str, Any]], Any] = lambda claims: None
    sign: Callable[[dict[str, Any]], str] | None = None
    algorithm: str = "RS256"
    keys: list[Any] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    has_devices: bool = True
    calls: list[str] = field(default_factory=list)
    called: str = ""  # another name for itself in discovery
    clock: Callable[[], float] = time.time

    def rotate(self, kind: str = "RSA", size: int | str = 2048, **more: Any) -> None:
        key = jwk.generate_key(kind, size, {"kid": secrets.token_hex(4), "use": "sig", **more})  # type: ignore[call-overload]
        self.keys = [key]

    def token(self, nonce: str | None) -> str:
        now = int(self.clock())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, **self.person}
        claims |= {"nonce": nonce} if nonce else {}
        self.change(claims)
        if self.sign:
            return self.sign(claims)
        key = self.keys[0]
        return jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key, algorithms=[self.algorithm])


def application(site: Site) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def note(request: Request, call: Any) -> Any:
        site.calls.append(request.url.path)
        return await call(request)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> dict[str, Any]:
        found: dict[str, Any] = {"issuer": site.called or site.issuer}
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        ends |= {"userinfo_endpoint": "info"} if site.info else {}
        ends |= {"device_authorization_endpoint": "device"} if site.has_devices else {}
        return found | {name: f"{site.issuer}/{path}" for name, path in ends.items()}

    @app.get("/keys")
    def keys() -> dict[str, Any]:
        public = [key.as_dict(private=False) for key in site.keys]
        return {"keys": [*public, {"kty": "oct", "k": "AAAA", "kid": "odd"}, {"kty": "future"}, "nonsense"]}

    @app.get("/authorize")
    def authorize(request: Request) -> Any:
        asked = dict(request.query_params)
        if asked["client_id"] != CLIENT or asked["response_type"] != "code" or "openid" not in asked["scope"].split():
            return JSONResponse({"error": "invalid_request"}, 400)
        if asked.get("code_challenge_method") != "S256" or not asked.get("nonce") or not asked.get("state"):
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        site.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    @app.post("/device")
    def device(client_id: str = Form()) -> Any:
        code = secrets.token_urlsafe(16)
        site.devices[code] = "authorization_pending"
        return {"device_code": code, "user_code": "WXYZ-1234", "verification_uri": f"{site.issuer}/type",
                "expires_in": 600, "interval": 1}  # fmt: skip

    @app.post("/token")
    async def token(request: Request) -> Any:
        form = {key: str(value) for key, value in (await request.form()).items()}
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        quoted = base64.b64decode(given).decode() if kind == "Basic" else ""
        if quoted != "doubleloop:s3cr3t%2Fwith%3Aodd%25characters":
            return JSONResponse({"error": "invalid_client"}, 401)
        if form["grant_type"].endswith("device_code"):
            said = site.devices.get(form["device_code"], "expired_token")
            if said != "yes":
                return JSONResponse({"error": said}, 400)
            del site.devices[form["device_code"]]
            return {"id_token": site.token(None), "access_token": "at", "token_type": "Bearer"}
        asked = site.codes.pop(form["code"], None)
        good = asked and asked["redirect_uri"] == form["redirect_uri"]
        if not asked or not good or digest(form["code_verifier"]) != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return {"id_token": site.token(asked["nonce"]), "access_token": "at", "token_type": "Bearer"}

    @app.get("/info")
    def info(request: Request) -> Any:
        assert request.headers["authorization"] == "Bearer at"
        return site.info

    return app


@contextmanager
def serve() -> Iterator[Site]:
    site = Site()
    site.rotate()
    server = uvicorn.Server(uvicorn.Config(application(site), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    site.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        server.should_exit = True
        thread.join(10)


def answer(location: str) -> dict[str, str]:
    """The parameters that the provider sends a browser back with."""
    return {key: value[0] for key, value in parse_qs(urlsplit(location).query).items()}
