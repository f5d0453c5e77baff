"""What identity needs to know from above: whether a workspace is production."""

from __future__ import annotations

from typing import Protocol

from doubleloop.db.context import Ctx
from doubleloop.identity import model


class WorkspaceKinds(Protocol):
    def kind(self, ctx: Ctx, workspace: str) -> model.WorkspaceKind:
        """Raises NotFound."""

    def shared(self, ctx: Ctx, workspace: str) -> bool:
        """Whether it is a registry, which every group reaches whatever workspaces it is limited to."""
