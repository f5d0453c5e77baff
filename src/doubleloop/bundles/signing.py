"""Ed25519 (RFC 8032) over a bundle's digest. The installation's key is derived from its one secret, and not stored."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from doubleloop.base import errors
from doubleloop.bundles import model
from doubleloop.secrets import ports as secrets

_PURPOSE = "bundles/signing-key/1"


def _private(keys: secrets.Keys) -> ed25519.Ed25519PrivateKey:
    seed = hashlib.sha256(keys.derive(_PURPOSE).encode()).digest()
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def public_key(keys: secrets.Keys) -> str:
    """The installation's public key, base64 of 32 bytes."""
    return base64.b64encode(_private(keys).public_key().public_bytes_raw()).decode()


def key_id(public: str) -> str:
    """Raises InvalidInput for what is no Ed25519 public key."""
    return hashlib.sha256(_raw(public)).hexdigest()[:16]


def sign(keys: secrets.Keys, digest: str) -> str:
    return base64.b64encode(_private(keys).sign(_message(digest))).decode()


def verify(public: str, digest: str, signature: str) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(_raw(public)).verify(_decoded(signature), _message(digest))
    except (InvalidSignature, errors.InvalidInput):
        return False
    return True


def _message(digest: str) -> bytes:
    """What is signed names the format, so that a signature is good for nothing else."""
    return f"{model.FORMAT}\n{digest}\n".encode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidInput("A key or signature is not base64") from None


def _raw(public: str) -> bytes:
    raw = _decoded(public)
    if len(raw) != 32:
        raise errors.InvalidInput(
            f"A public key has 32 bytes, not {len(raw)}", cure="`doubleloop registry key` of its installation shows it."
        )
    return raw
