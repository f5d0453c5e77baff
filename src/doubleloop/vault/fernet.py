"""Values encrypted in the database: each under a key of its own, and that key under a key of the installation.

Fernet (AES-128-CBC and HMAC-SHA-256): https://github.com/fernet/spec/blob/master/Spec.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from cryptography import fernet

from doubleloop.base import errors
from doubleloop.vault import ports
from doubleloop.vault.model import Place

PURPOSE = "vault/fernet/1"
_CURE = (
    "Give the key it was locked with in DOUBLELOOP_SECRETS_KEYS, after the new one (or bring back secret.key); "
    "or write the secret again."
)


class LocalKeys:
    """Keys given to this process, newest first, and last the one derived from the home's key file.

    With none given, the derived one locks; with some, it only opens what it locked before.
    """

    def __init__(self, given: Sequence[str], derive: Callable[[str], str]) -> None:
        for position, key in enumerate(given, 1):
            _fernet(key, f"Key {position} of DOUBLELOOP_SECRETS_KEYS")
        self._given, self._derive = tuple(given), derive

    def _all(self) -> fernet.MultiFernet:
        derived = f"{self._derive(PURPOSE)}="  # 32 bytes in Base64, which Fernet wants padded
        return fernet.MultiFernet([_fernet(key, "A key") for key in (*self._given, derived)])

    def wrap(self, key: bytes) -> str:
        return self._all().encrypt(key).decode()

    def unwrap(self, wrapped: str) -> bytes:
        try:
            return self._all().decrypt(wrapped)
        except fernet.InvalidToken:
            raise errors.Failed("None of this installation's keys opens it", cure=_CURE) from None


def _fernet(key: str, what: str) -> fernet.Fernet:
    """Raises InvalidInput, and never repeats the key."""
    try:
        return fernet.Fernet(key)
    except ValueError:
        raise errors.InvalidInput(
            f"{what} is no Fernet key: 32 bytes in URL-safe Base64",
            cure='Make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"',
        ) from None


class SealedSafe:
    """Fills ``ports.Safe`` with text for the database: ``{"key": the wrapped key, "body": the encrypted value}``."""

    kind = ports.IN_THE_ROW

    def __init__(self, keys: ports.Keys) -> None:
        self._keys = keys

    def keep(self, place: Place, value: str) -> str:
        key = fernet.Fernet.generate_key()
        body = json.dumps({"workspace": place.workspace, "name": place.name, "value": value}).encode()
        return json.dumps({"key": self._keys.wrap(key), "body": fernet.Fernet(key).encrypt(body).decode()})

    def open(self, place: Place, kept: str) -> str:
        """Raises Failed also when what is kept belongs to another secret: somebody moved it in the database."""
        try:
            sealed = json.loads(kept)
            body = json.loads(fernet.Fernet(self._unwrapped(place, sealed["key"])).decrypt(sealed["body"]))
        except (ValueError, KeyError, TypeError, fernet.InvalidToken):
            raise errors.Failed(
                f"What is kept of secret {place.name} is damaged", cure="Write the secret again."
            ) from None
        if (body["workspace"], body["name"]) != (place.workspace, place.name):
            raise errors.Failed(
                f"What is kept of secret {place.name} of {place.workspace} is the value of another secret",
                cure="Somebody changed the database; look at `doubleloop audit verify`, and write the secret again.",
            )
        return str(body["value"])

    def renew(self, place: Place, kept: str) -> str:
        sealed = json.loads(kept)
        return json.dumps({**sealed, "key": self._keys.wrap(self._unwrapped(place, sealed["key"]))})

    def destroy(self, place: Place, kept: Iterable[str]) -> None:
        """Nothing lies anywhere but in the row."""

    def _unwrapped(self, place: Place, wrapped: str) -> bytes:
        try:
            return self._keys.unwrap(wrapped)
        except errors.Failed as error:
            raise errors.Failed(
                f"Secret {place.name} of {place.workspace} cannot be opened: {error.what}", cure=error.cure
            ) from error
