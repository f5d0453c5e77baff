"""Making a workspace as its file says."""

from __future__ import annotations

from dataclasses import replace

from doubleloop.base import errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.workspaces import model, store


def put(ctx: Ctx, workspace: model.Workspace) -> model.Workspace:
    """Create or change. The kind of a workspace never changes: what ran in it was judged by it. Raises Conflict."""
    identity.permit(replace(ctx, workspace=None), Action.WORKSPACE_WRITE)
    if not ids.is_name(workspace.name):
        raise errors.InvalidInput(f"'{workspace.name}' cannot be a workspace name")
    before = store.get(ctx, workspace.name)
    if before and (before.kind, before.is_registry) != (workspace.kind, workspace.is_registry):
        raise errors.Conflict(
            f"Workspace {workspace.name} is {before.kind}; its kind cannot change",
            cure="Create another workspace.",
        )
    if before and replace(before, created_at=None) == replace(workspace, created_at=None):
        return before
    store.put(ctx, workspace)
    events.record(
        ctx.in_workspace(workspace.name), "workspace.changed" if before else "workspace.created",
        f"workspace:{workspace.name}", kind=workspace.kind.value, settings=workspace.settings,
    )  # fmt: skip
    made = store.get(ctx, workspace.name)
    assert made is not None
    return made
