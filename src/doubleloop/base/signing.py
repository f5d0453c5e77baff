"""Ed25519 (RFC 8032) signatures over texts, as base64. Whoever signs brings the key's seed."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from doubleloop.base import errors


def public_key(seed: bytes) -> str:
    """Base64 of the 32 bytes of the public key that belongs to a seed of 32 bytes."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def sign(seed: bytes, purpose: str, text: str) -> str:
    """``purpose`` is signed too, so that a signature is good for nothing else."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return base64.b64encode(private.sign(_message(purpose, text))).decode()


def verify(public: str, purpose: str, text: str, signature: str) -> bool:
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(raw(public))
        key.verify(_decoded(signature), _message(purpose, text))
    except (InvalidSignature, ValueError, errors.InvalidInput):
        return False
    return True


def key_id(public: str) -> str:
    """Raises InvalidInput for what is no Ed25519 public key."""
    return hashlib.sha256(raw(public)).hexdigest()[:16]


def raw(public: str) -> bytes:
    found = _decoded(public)
    if len(found) != 32:
        raise errors.InvalidInput(f"A public key has 32 bytes, not {len(found)}")
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidInput("A key or signature is not base64") from None


def _message(purpose: str, text: str) -> bytes:
    return f"{purpose}\n{text}\n".encode()
