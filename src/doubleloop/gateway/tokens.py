"""Tokens of an endpoint: made where its private key is, read by whoever has the public one. Pure.

A token is ``dlt.<payload>.<signature>``, both in unpadded base64url: the payload is JSON with ``exp`` (seconds since
1970) and ``sub`` (for whom it was made), the signature Ed25519 over the payload's text.
"""

from __future__ import annotations

import base64
import binascii

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from doubleloop.base import errors

PREFIX = "dlt."


def make(seed: bytes, subject: str, expires: int) -> str:
    """``seed``: the 32 bytes of the private key."""
    payload = _text(orjson.dumps({"exp": expires, "sub": subject}))
    signature = ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(payload.encode())
    return f"{PREFIX}{payload}.{_text(signature)}"


def public(seed: bytes) -> str:
    """The public key, in hex."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def check(token: str, key: str, now: float) -> int:
    """When a token that is good now ends. Raises errors.NotAuthenticated."""
    payload, _, signature = token.removeprefix(PREFIX).partition(".")
    try:
        reader = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        reader.verify(_bytes(signature), payload.encode())
        expires = int(orjson.loads(_bytes(payload))["exp"])
    except (InvalidSignature, ValueError, KeyError, TypeError, binascii.Error):
        raise errors.NotAuthenticated(
            "the token is not one of this endpoint's", cure="get one: doubleloop online-endpoint get-credentials"
        ) from None
    if now >= expires:
        raise errors.NotAuthenticated(
            "the token has expired", cure="get another: doubleloop online-endpoint get-credentials"
        )
    return expires


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
