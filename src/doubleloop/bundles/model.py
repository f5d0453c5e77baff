"""A bundle, and a key that bundles of other installations are trusted by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

FORMAT = "doubleloop/bundle/1"
# Of the list of contents; the contents themselves are files beside it.
MOST_MANIFEST_BYTES = 32 << 20


@dataclass(frozen=True)
class Wanted:
    """What a bundle is to be made of. ``release`` describes the release in plain JSON, ``subject`` is what its evidence
    is about; ``lock`` is an environment lock's digest, ``code`` a stored tree."""

    release: dict[str, Any]
    subject: str
    workspace: str
    model: tuple[str, str]
    lock: str = ""
    code: str = ""


@dataclass(frozen=True)
class Bundle:
    """``digest`` is the SHA-256 of the manifest's canonical JSON; ``key`` the id of the key that ``signature`` (base64
    Ed25519) was made with. ``files`` counts the files beside the manifest, ``size`` their bytes. ``imported`` tells
    that another installation made it; ``version`` is the model version here."""

    digest: str
    release: str
    workspace: str
    model: str
    version: str
    key: str
    signature: str
    authors: tuple[str, ...]
    files: int
    size: int
    imported: bool
    created_by: str
    created_at: datetime

    @property
    def subject(self) -> str:
        return f"bundle:{self.digest}"


@dataclass(frozen=True)
class TrustedKey:
    """A public key (base64, 32 bytes) whose bundles are taken; ``id`` is the first 16 hex digits of its SHA-256."""

    id: str
    name: str
    public: str
    added_by: str
    added_at: datetime
