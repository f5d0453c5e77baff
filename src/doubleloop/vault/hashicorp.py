"""HashiCorp Vault (and OpenBao): values in its KV engine, version 2, or keys in its Transit engine.

Wire formats: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and …/secret/transit.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from doubleloop.base import errors
from doubleloop.vault.model import Place

TIMEOUT_S = 10.0
# Answers after which the same request may do: sealed or standby (503, 473), starting, too many requests.
_PASSING = frozenset({412, 429, 472, 473, 500, 502, 503, 504})


def token_from(given: str, file: str) -> Callable[[], str]:
    """The token, or the file that holds it now: an agent may write a new one at any time."""

    def token() -> str:
        if not file:
            return given
        try:
            return Path(file).read_text().strip()
        except (OSError, ValueError) as error:
            raise errors.Unavailable(f"The token of HashiCorp Vault cannot be read: {error}") from None

    return token


class Client:
    """Speaks to one server. Every call raises Unavailable, NotFound, Failed; no message repeats what was sent."""

    def __init__(
        self, url: str, token: Callable[[], str], namespace: str = "", timeout: float = TIMEOUT_S
    ) -> None:  # fmt: skip
        if not url.startswith(("http://", "https://")):
            raise errors.InvalidInput(
                f"DOUBLELOOP_VAULT_URL={url!r} is no address", cure="Write it like https://vault.example:8200."
            )
        self._url, self._token, self._namespace, self._timeout = url.rstrip("/"), token, namespace, timeout

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """``data`` of the answer; empty when there is none."""
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        try:
            answer = httpx.request(
                method, f"{self._url}/v1/{path}", json=body, params=params, headers=headers, timeout=self._timeout
            )
        except httpx.HTTPError as error:
            raise errors.Unavailable(f"HashiCorp Vault at {self._url} does not answer: {error}") from None
        return self._judge(answer, path)

    def _judge(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if answer.is_success:
            found = _json(answer).get("data")
            return found if isinstance(found, dict) else {}
        said = "; ".join(map(str, _json(answer).get("errors") or ())) or answer.reason_phrase
        what = f"HashiCorp Vault answered {answer.status_code} for {path}: {said}"
        if answer.status_code == 404:
            raise errors.NotFound(what)
        if answer.status_code in _PASSING:
            raise errors.Unavailable(what)
        cure = ""
        if answer.status_code == 403:
            cure = "Look at the token (DOUBLELOOP_VAULT_TOKEN or …_TOKEN_FILE) and the policy it has."
        raise errors.Failed(what, cure=cure)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class KvSafe:
    """Fills ``ports.Safe``: a secret is ``<prefix>/<workspace>/<name>`` with the field ``value``; the database keeps
    its path and the version that the engine gave it."""

    kind = "vault"

    def __init__(self, client: Client, mount: str = "secret", prefix: str = "doubleloop") -> None:
        self._client, self._mount, self._prefix = client, mount.strip("/"), prefix.strip("/")

    def keep(self, place: Place, value: str) -> str:
        path = self._path(place)
        made = self._client.ask("POST", f"{self._mount}/data/{path}", {"data": {"value": value}})
        return json.dumps({"mount": self._mount, "path": path, "version": int(made["version"])})

    def open(self, place: Place, kept: str) -> str:
        mount, path, version = self._where(place, kept)
        try:
            found = self._client.ask("GET", f"{mount}/data/{path}", version=version)
        except errors.NotFound:
            found = {}
        value = (found.get("data") or {}).get("value")
        if not isinstance(value, str):
            raise errors.Failed(
                f"Secret {place.name} of {place.workspace}: HashiCorp Vault has no version {version} of {mount}/{path} "
                "with a value",
                cure="Undelete it there, or write the secret again.",
            )
        return value

    def renew(self, place: Place, kept: str) -> str:
        """Its keys are its own."""
        return kept

    def destroy(self, place: Place, kept: Iterable[str]) -> None:
        for mount, path, version in (self._where(place, each) for each in kept):
            self._client.ask("PUT", f"{mount}/destroy/{path}", {"versions": [version]})

    def _path(self, place: Place) -> str:
        return f"{self._prefix}/{place.workspace}/{place.name}" if self._prefix else f"{place.workspace}/{place.name}"

    def _where(self, place: Place, kept: str) -> tuple[str, str, int]:
        """Raises Failed when what is kept points to another secret: somebody moved it in the database."""
        try:
            found = json.loads(kept)
            mount, path, version = str(found["mount"]), str(found["path"]), int(found["version"])
        except (ValueError, KeyError, TypeError):
            raise errors.Failed(f"What is kept of secret {place.name} is damaged", cure="Write it again.") from None
        if not f"/{path}".endswith(f"/{place.workspace}/{place.name}"):
            raise errors.Failed(
                f"What is kept of secret {place.name} of {place.workspace} is the value of another secret",
                cure="Somebody changed the database; look at `doubleloop audit verify`, and write the secret again.",
            )
        return mount, path, version


class TransitKeys:
    """Fills ``ports.Keys`` with a key management service: the key ``name`` never leaves the Transit engine."""

    def __init__(self, client: Client, name: str, mount: str = "transit") -> None:
        self._client, self._name, self._mount = client, name, mount.strip("/")

    def wrap(self, key: bytes) -> str:
        body = {"plaintext": base64.b64encode(key).decode()}
        return str(self._client.ask("POST", f"{self._mount}/encrypt/{self._name}", body)["ciphertext"])

    def unwrap(self, wrapped: str) -> bytes:
        found = self._client.ask("POST", f"{self._mount}/decrypt/{self._name}", {"ciphertext": wrapped})
        try:
            return base64.b64decode(found["plaintext"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise errors.Failed(f"HashiCorp Vault's {self._mount}/decrypt/{self._name} gave no key") from None
