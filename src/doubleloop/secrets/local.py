"""Keys derived from one secret file of the home folder."""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import secrets
from pathlib import Path


class FileKeys:
    """HMAC-SHA-256 of the purpose under 256 random bits that only this user can read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _secret(self) -> bytes:
        if not self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # the first process wins, the others read what it wrote
                os.link(beside, self._file)
            beside.unlink()
        return self._file.read_bytes()

    def derive(self, purpose: str) -> str:
        digest = hmac.digest(self._secret(), purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
