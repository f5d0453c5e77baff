"""Secrets of deployments in the desired state: the gateway must be able to start a scorer again by itself, so it has
their values, encrypted under a key that is not in the file.

AES-SIV (RFC 5297): the same value of the same variable is the same text, so that writing it again changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from doubleloop.base import errors
from doubleloop.gateway.desired import Deployment

KEY_FILE = "secret.key"
_PURPOSE = b"serving/sealed variables/1"


def seal(home: Path, deployment_id: str, variable: str, value: str) -> str:
    """Raises Failed when the home has no key."""
    return base64.b64encode(_cipher(home).encrypt(value.encode(), _bound_to(deployment_id, variable))).decode()


def opened(home: Path, deployment: Deployment) -> dict[str, str]:
    """The deployment's secrets by variable. Raises Failed as ``unseal`` does."""
    return {name: unseal(home, deployment.id, name, sealed) for name, sealed in deployment.sealed.items()}


def unseal(home: Path, deployment_id: str, variable: str, sealed: str) -> str:
    """Raises Failed for what was sealed with another key, for another variable, or changed since."""
    try:
        content = base64.b64decode(sealed, validate=True)
        return _cipher(home).decrypt(content, _bound_to(deployment_id, variable)).decode()
    except (InvalidTag, binascii.Error, ValueError):
        raise errors.Failed(
            f"The secret in {variable} cannot be opened with the key of this home", cure="Deploy again."
        ) from None


def _bound_to(deployment_id: str, variable: str) -> list[bytes]:
    return [deployment_id.encode(), variable.encode()]


def _cipher(home: Path) -> AESSIV:
    try:
        secret = (home / KEY_FILE).read_bytes()
    except OSError as error:
        raise errors.Failed(f"The key of this home cannot be read: {error}") from None
    return AESSIV(hmac.digest(secret, _PURPOSE, "sha512"))
