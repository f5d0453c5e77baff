"""Ed25519 over a bundle's digest. The installation's key is derived from its one secret, and not stored."""

from __future__ import annotations

import hashlib

from doubleloop.base import errors, signing
from doubleloop.bundles import model
from doubleloop.secrets import ports as secrets

_PURPOSE = "bundles/signing-key/1"


def _seed(keys: secrets.Keys) -> bytes:
    return hashlib.sha256(keys.derive(_PURPOSE).encode()).digest()


def public_key(keys: secrets.Keys) -> str:
    """The installation's public key, base64 of 32 bytes."""
    return signing.public_key(_seed(keys))


def key_id(public: str) -> str:
    """Raises InvalidInput for what is no Ed25519 public key."""
    try:
        return signing.key_id(public)
    except errors.InvalidInput as error:
        cure = "`doubleloop registry key` of its installation shows it."
        raise errors.InvalidInput(error.what, cure=cure) from None


def sign(keys: secrets.Keys, digest: str) -> str:
    return signing.sign(_seed(keys), model.FORMAT, digest)


def verify(public: str, digest: str, signature: str) -> bool:
    return signing.verify(public, model.FORMAT, digest, signature)
