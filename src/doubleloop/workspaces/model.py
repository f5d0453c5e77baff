"""A workspace (or the registry that workspaces share)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from doubleloop.identity.model import WorkspaceKind

# The registry every installation has: models live here, and shared data and environments may.
REGISTRY = "registry"


@dataclass(frozen=True)
class Workspace:
    """``settings`` holds ``package_substitutions``: [{match, action: drop|replace, with}], and ``private_addresses``:
    what is reached from it beside the internet."""

    name: str
    kind: WorkspaceKind
    description: str
    is_registry: bool
    settings: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
