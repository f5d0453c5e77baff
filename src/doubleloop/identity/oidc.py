"""One OpenID Connect provider: its discovery, its keys, and what of its tokens is believed. No database here.

OpenID Connect Core 1.0 (sections 3.1.2, 3.1.3), Discovery 1.0, PKCE (RFC 7636, S256 alone), device grant (RFC 8628).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import joserfc.errors
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwk, jws

from doubleloop.base import errors
from doubleloop.outbound import commands as connections
from doubleloop.outbound import rules as addresses
from doubleloop.settings.model import Settings

# Signatures that only the provider can make. HS*, made with a secret that we hold too, and `none` are refused.
ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP", "Ed25519": "OKP",
}  # fmt: skip
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Seconds that clocks may differ by; that discovery and keys are believed; between looks for a key that is not known.
LEEWAY = 60
KEPT = 3600.0
LOOK_AGAIN = 10.0
MOST_BYTES = 1 << 20
_CURE = "Ask the administrator of this installation to look at its log."


@dataclass(frozen=True)
class Config:
    """``groups``: pairs of a value of the groups claim and the group here that it stands for."""

    issuer: str
    client_id: str
    secret: str
    secret_file: str
    scopes: str
    user_claim: str
    groups_claim: str
    groups: tuple[tuple[str, str], ...]
    creates_users: bool
    label: str
    private_addresses: str = ""


def config(settings: Settings) -> Config | None:
    """None when no provider is set. Raises InvalidInput for settings that cannot be."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise errors.InvalidInput(
            "An OpenID Connect issuer is set without a client", cure="Set DOUBLELOOP_OIDC_CLIENT_ID."
        )
    _check_url(settings.oidc_issuer, settings.oidc_issuer)
    if settings.oidc_create_users not in ("yes", "no"):
        raise errors.InvalidInput("DOUBLELOOP_OIDC_CREATE_USERS must be `yes` or `no`")
    pairs = [pair.strip().rpartition("=") for pair in settings.oidc_groups.split(",") if pair.strip()]
    if not all(theirs.strip() and ours.strip() for theirs, _, ours in pairs):
        raise errors.InvalidInput("DOUBLELOOP_OIDC_GROUPS must be `theirs=ours` pairs with commas between")
    return Config(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_client_secret_file,
        settings.oidc_scopes, settings.oidc_user_claim, settings.oidc_groups_claim,
        tuple((theirs.strip(), ours.strip()) for theirs, _, ours in pairs), settings.oidc_create_users == "yes",
        settings.oidc_label, settings.private_addresses,
    )  # fmt: skip


def is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check_url(url: Any, issuer: str) -> str:
    """Tokens travel over TLS; only a provider on this machine may do without. Raises InvalidInput."""
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    here = is_loopback(parts.hostname) and is_loopback(urlsplit(issuer).hostname)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise errors.InvalidInput(f"'{url}' of the OpenID Connect provider is not an https address")
    return str(url)


@dataclass(frozen=True)
class Tokens:
    id_token: str
    access_token: str


@dataclass(frozen=True)
class Device:
    """What a person types, where, and how often to ask whether they have (seconds)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    interval: int
    expires_in: int


class Provider:
    """Thread-safe. Every method raises Unavailable when the provider does not answer as it should."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None
        self._http = httpx.Client(timeout=10.0, follow_redirects=False)

    def metadata(self) -> dict[str, Any]:
        """What discovery says; its issuer must be, to the letter, the one that is set."""
        with self._lock:
            if self._metadata is None or self._clock() - self._metadata[0] > KEPT:
                found = self._json("GET", str(get_well_known_url(self.config.issuer, external=True)))
                if found.get("issuer") != self.config.issuer:
                    raise errors.Unavailable(
                        f"The provider calls itself {found.get('issuer')!r}, not {self.config.issuer!r}", cure=_CURE
                    )
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    self._checked(found.get(name))
                self._metadata = self._clock(), found
            return self._metadata[1]

    def _checked(self, url: Any) -> str:
        try:
            return _check_url(url, self.config.issuer)
        except errors.InvalidInput as error:
            raise errors.Unavailable(error.what, cure=_CURE) from error

    def authorization_url(self, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        url: str = prepare_grant_uri(
            self.metadata()["authorization_endpoint"], self.config.client_id, "code", redirect_uri, self.config.scopes,
            state, nonce=nonce, code_challenge=challenge, code_challenge_method="S256",
        )  # fmt: skip
        return url

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """Raises NotAuthenticated for a code that the provider does not take (used, old, not for this verifier)."""
        status, body = self._token(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        )
        return self._tokens(status, body)

    def offers_devices(self) -> bool:
        return bool(self.metadata().get("device_authorization_endpoint"))

    def device(self) -> Device:
        """Raises NotSupported when the provider has no device grant."""
        if not self.offers_devices():
            raise errors.NotSupported(
                "The provider offers no login by device code", cure="Log in on a machine with a browser."
            )
        url = self._checked(self.metadata()["device_authorization_endpoint"])
        status, body = self._post(url, {"client_id": self.config.client_id, "scope": self.config.scopes})
        try:
            if status != 200:
                raise ValueError(body.get("error"))
            complete = body.get("verification_uri_complete")
            return Device(
                str(body["device_code"]), str(body["user_code"]), self._checked(body["verification_uri"]),
                self._checked(complete) if complete else None,
                max(1, int(body.get("interval", 5))), min(1800, int(body["expires_in"])),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError) as error:
            raise errors.Unavailable(f"The provider gave no device code ({error})", cure=_CURE) from error

    def poll(self, device_code: str) -> Tokens | str:
        """The tokens, or ``authorization_pending`` or ``slow_down``. Raises NotAuthenticated once it is refused."""
        status, body = self._token({"grant_type": DEVICE_GRANT, "device_code": device_code})
        if body.get("error") in ("authorization_pending", "slow_down"):
            return str(body["error"])
        return self._tokens(status, body)

    def _token(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        return self._post(self._checked(self.metadata()["token_endpoint"]), fields)

    def _tokens(self, status: int, body: Mapping[str, Any]) -> Tokens:
        if status != 200 or not isinstance(body.get("id_token"), str):
            raise errors.NotAuthenticated(f"The provider gave no ID token ({str(body.get('error', status))[:80]})")
        return Tokens(body["id_token"], str(body.get("access_token") or ""))

    def claims(self, tokens: Tokens, nonce: str | None) -> dict[str, Any]:
        """What an ID token says, once its signature, issuer, audience, times and nonce are right.

        ``nonce`` is None for a device grant, which has none. Raises NotAuthenticated.
        """
        header, payload = self._verified(tokens.id_token)
        found = CodeIDToken(
            payload, header,
            {
                "iss": {"essential": True, "value": self.config.issuer},
                "aud": {"essential": True, "value": self.config.client_id},
            },
            {"nonce": nonce, "client_id": self.config.client_id, "access_token": tokens.access_token},
        )  # fmt: skip
        try:
            found.validate(int(self._clock()), LEEWAY)
        except Exception as error:  # authlib's and joserfc's claim errors share no base that is not deprecated
            raise errors.NotAuthenticated(f"The ID token is not good: {error}") from error
        subject = payload.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or "\0" in subject:
            raise errors.NotAuthenticated("The ID token names nobody")
        return payload

    def _verified(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise errors.NotAuthenticated(f"ID tokens signed with {str(algorithm)[:20]!r} are not taken")
        for again in (False, True):
            for key in self._fitting(algorithm, kid, again):
                try:
                    content = jws.deserialize_compact(token, jwk.import_key(dict(key)), algorithms=[algorithm])
                    payload = json.loads(content.payload)
                except (joserfc.errors.JoseError, ValueError, TypeError):
                    continue
                if isinstance(payload, dict):
                    return header, payload
        raise errors.NotAuthenticated("The ID token is not signed by the provider")

    def _fitting(self, algorithm: str, kid: Any, again: bool) -> list[dict[str, Any]]:
        """The provider's signing keys for this; ``again``: asked for anew, as providers change keys."""
        return [
            key
            for key in self._known_keys(again)
            if key.get("kty") == ALGORITHMS[algorithm]
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and (kid is None or key.get("kid") == kid)
        ]

    def _known_keys(self, again: bool) -> list[dict[str, Any]]:
        url = self._checked(self.metadata()["jwks_uri"])
        with self._lock:
            age = self._clock() - self._keys[0] if self._keys else None
            if self._keys is None or age is None or age > KEPT or (again and age >= LOOK_AGAIN):
                found = self._json("GET", url).get("keys")
                keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
                self._keys = self._clock(), keys
            return self._keys[1]

    def groups(self, claims: Mapping[str, Any], tokens: Tokens) -> frozenset[str]:
        """The groups that the provider says; from its user info where the ID token has none."""
        name = self.config.groups_claim
        found = claims.get(name)
        url = self.metadata().get("userinfo_endpoint")
        if name not in claims and self.config.groups and url and tokens.access_token:
            headers = {"authorization": f"Bearer {tokens.access_token}"}
            said = self._json("GET", self._checked(url), headers=headers)
            if said.get("sub") != claims["sub"]:
                raise errors.NotAuthenticated("The provider's user info is about somebody else")
            found = said.get(name)
        if isinstance(found, str):
            return frozenset({found})
        return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()

    def _post(self, url: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """With the client's secret by the way that discovery names (client_secret_basic is the default)."""
        secret = self._secret()
        ways = self.metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        headers: dict[str, str] = {}
        if not secret or "client_secret_basic" not in ways:
            fields = {**fields, "client_id": self.config.client_id, **({"client_secret": secret} if secret else {})}
        else:
            both = f"{quote(self.config.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
        return self._send("POST", url, data=fields, headers=headers)

    def _secret(self) -> str:
        if not self.config.secret_file:
            return self.config.secret
        try:
            return Path(self.config.secret_file).read_text().strip()
        except OSError as error:
            raise errors.Unavailable(f"The client's secret cannot be read: {error}", cure=_CURE) from error

    def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        status, body = self._send(method, url, **more)
        if status != 200:
            raise errors.Unavailable(f"The provider answers {status} for {url}", cure=_CURE)
        return body

    def _send(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        # Who set the issuer vouches for its host, wherever that is; what its discovery names is another matter.
        allowed = (*addresses.split(self.config.private_addresses), addresses.host_of(self.config.issuer))
        try:
            with connections.guarded(allowed, url):
                answer = self._http.request(method, url, **more)
            body = json.loads(answer.content[:MOST_BYTES])
        except errors.NotPermitted as refusal:
            raise errors.Unavailable(f"The OpenID Connect provider names {refusal.what}", cure=_CURE) from refusal
        except (httpx.HTTPError, ValueError) as error:
            raise errors.Unavailable(
                f"The OpenID Connect provider does not answer at {url} ({type(error).__name__})", cure=_CURE
            ) from error
        if not isinstance(body, dict):
            raise errors.Unavailable(f"The OpenID Connect provider answers no object at {url}", cure=_CURE)
        return answer.status_code, body


def _header(token: str) -> dict[str, Any]:
    first = token.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, dict) or token.count(".") != 2:
        raise errors.NotAuthenticated("The ID token is not a signed token")
    return found


@cache
def provider(config: Config) -> Provider:
    """The provider of these settings: what it told is kept for the life of the process."""
    return Provider(config)


def of(settings: Settings) -> Provider:
    """Raises NotSupported when no provider is set."""
    chosen = config(settings)
    if chosen is None:
        raise errors.NotSupported(
            "This installation has no login by OpenID Connect",
            cure="Log in with a password, or set DOUBLELOOP_OIDC_ISSUER where the server starts.",
        )
    return provider(chosen)
