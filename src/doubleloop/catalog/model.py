"""An asset version, and an edge of lineage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KINDS = ("component", "data", "environment", "model")


def fingerprint(digest: str) -> str:
    """SHA-256 over a content's hash: says which content is meant, and is not the address by which it is fetched.

    For what is shown to people who may not read the content: evidence, bundles, explanations. Empty for no hash.
    """
    return hashlib.sha256(f"doubleloop/content/1\n{digest}\n".encode()).hexdigest() if digest else ""


@dataclass(frozen=True)
class Asset:
    """``workspace`` is the workspace or registry that owns it; ``digest`` is the hash of what it stands for."""

    kind: str
    name: str
    version: str
    workspace: str
    digest: str
    spec: dict[str, Any]
    created_by: str
    created_at: datetime
    job: str | None = None
    archived: bool = False
    labels: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return asset_id(self.kind, self.workspace, self.name, self.version)


@dataclass(frozen=True)
class Edge:
    """``source`` came before ``target`` (``data:registry/bikes:3`` –input→ ``step:job-1/train``)."""

    source: str
    relation: str
    target: str


def asset_id(kind: str, workspace: str, name: str, version: str) -> str:
    return f"{kind}:{workspace}/{name}:{version}"
