"""What a set-up names beside workspaces: computes, budgets and notification targets, kept and shown.

Every compute stands for this machine; budgets are looked at by ``cost``; messages go to notification targets.
"""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.workspaces import store

KINDS = ("compute", "notification", "budget")


def every(ctx: Ctx, kind: str) -> dict[str, dict[str, Any]]:
    """Name to what was declared, for one of ``KINDS``. The caller permits it."""
    return store.declarations(ctx, kind)


def put(ctx: Ctx, kind: str, name: str, spec: dict[str, Any]) -> None:
    """Declare or change."""
    identity.permit(ctx.in_workspace(None), Action.WORKSPACE_WRITE)
    before = store.declarations(ctx, kind).get(name)
    if before == spec:
        return
    store.put_declaration(ctx, kind, name, spec)
    events.record(ctx, f"{kind}.changed", f"{kind}:{name}", before=before, after=spec)


def remove(ctx: Ctx, kind: str, name: str) -> None:
    """Raises NotFound."""
    identity.permit(ctx.in_workspace(None), Action.WORKSPACE_WRITE)
    before = store.declarations(ctx, kind).get(name)
    if before is None:
        raise errors.NotFound(f"There is no {kind} '{name}'")
    store.remove_declaration(ctx, kind, name)
    events.record(ctx, f"{kind}.removed", f"{kind}:{name}", before=before)


def addresses(ctx: Ctx, names: list[str]) -> list[str]:
    """Where messages to these go: a declared target's address and mailboxes, or the word itself when none is declared.

    Raises NotSupported for a target that keeps its address as a secret: whoever sends may not read it.
    """
    targets = store.declarations(ctx, "notification")
    found: list[str] = []
    for name in names:
        if name not in targets:
            found.append(name)
            continue
        url, limited = targets[name].get("url"), targets[name].get("workspaces")
        if limited and ctx.workspace is not None and ctx.workspace not in limited:
            raise errors.NotSupported(f"The notification target {name} is not for the workspace {ctx.workspace}")
        if url and "${{" in url:
            raise errors.NotSupported(
                f"The address of the notification target {name} is a secret, which messages cannot use yet",
                cure="Give the target mailboxes, or an address without a secret.",
            )
        found += [*([url] if url else []), *targets[name].get("emails", [])]
    return found
