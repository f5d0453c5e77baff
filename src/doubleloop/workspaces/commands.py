"""Making a workspace as its file says."""

from __future__ import annotations

from dataclasses import replace

from doubleloop.base import errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.outbound import rules as outbound
from doubleloop.workspaces import model, store


def put(ctx: Ctx, workspace: model.Workspace) -> model.Workspace:
    """Create or change. The kind of a workspace never changes: what ran in it was judged by it. Raises Conflict."""
    identity.permit(replace(ctx, workspace=None), Action.WORKSPACE_WRITE)
    if not ids.is_name(workspace.name):
        raise errors.InvalidInput(f"'{workspace.name}' cannot be a workspace name")
    outbound.check(workspace.settings.get("private_addresses", ()))
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
        before=before and before.settings,
    )  # fmt: skip
    made = store.get(ctx, workspace.name)
    assert made is not None
    return made


def substitute(ctx: Ctx, name: str, substitutions: list[dict[str, str]]) -> model.Workspace:
    """Say what stands in for packages that cannot be had in a workspace: ``[{match, action: drop|replace, with?}]``.

    Raises InvalidInput for another form, NotFound.
    """
    identity.permit(ctx, Action.PACKAGE_WRITE, name)
    for each in substitutions:
        replaced = each.get("action") == "replace"
        known = {"match", "action", "with"} if replaced else {"match", "action"}
        if set(each) != known or each.get("action") not in ("drop", "replace") or not all(each.values()):
            raise errors.InvalidInput(
                f"{each} is no substitution",
                cure="Write {match: ..., action: drop} or {..., action: replace, with: ...}.",
            )
    before = store.get(ctx, name)
    if before is None:
        raise errors.NotFound(f"No workspace is named '{name}'")
    after = replace(before, settings={**before.settings, "package_substitutions": substitutions})
    if after != before:
        store.put(ctx, after)
        events.record(
            ctx.in_workspace(name), "workspace.changed", f"workspace:{name}", kind=after.kind.value,
            settings=after.settings, before=before.settings,
        )  # fmt: skip
    return after
