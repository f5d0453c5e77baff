"""Looking at workspaces."""

from __future__ import annotations

import dataclasses

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import model as facts
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.identity.model import WorkspaceKind
from doubleloop.outbound import commands as outbound
from doubleloop.settings.model import Settings
from doubleloop.workspaces import model, store


def get(ctx: Ctx, name: str) -> model.Workspace:
    """Raises NotFound, with the names that the actor may see."""
    workspace = store.get(ctx, name)
    if workspace is None:
        names = ", ".join(each.name for each in visible(ctx) if not each.is_registry) or "none that you may see"
        raise errors.NotFound(
            f"No workspace is named '{name}'",
            cure=f"There are: {names}. Create one with `doubleloop apply -f`.",
        )
    return workspace


def show(ctx: Ctx, name: str) -> model.Workspace:
    workspace = get(ctx, name)
    identity.permit(ctx, Action.WORKSPACE_READ, name)
    return workspace


def visible(ctx: Ctx) -> list[model.Workspace]:
    """The workspaces that the actor may read."""
    return [
        workspace
        for workspace in store.select(ctx)
        if identity.decide(ctx, Action.WORKSPACE_READ, workspace.name).allowed
    ]


def registries(ctx: Ctx) -> list[str]:
    """Names of the shared registries, where a reference is looked up after the workspace itself."""
    return [workspace.name for workspace in store.select(ctx) if workspace.is_registry]


def names(ctx: Ctx) -> list[str]:
    """Of every workspace and registry; for asking about rights in each, not for showing."""
    return [workspace.name for workspace in store.select(ctx)]


def permitted(ctx: Ctx, action: Action) -> list[str] | None:
    """Where the actor may do ``action``: names of workspaces, None for the whole installation.

    Raises NotPermitted when it is nowhere.
    """
    if identity.decide(ctx.in_workspace(None), action).allowed:
        return None
    found = [name for name in names(ctx) if identity.decide(ctx, action, name).allowed]
    if not found:
        identity.permit(ctx.in_workspace(None), action)
    return found


def audited(ctx: Ctx, query: facts.Query) -> facts.Query:
    """The part of a question about the record that the actor may have answered. Raises NotPermitted, NotFound."""
    for name in query.workspaces or ():
        identity.permit(ctx.in_workspace(name), Action.AUDIT_READ)
    if query.workspaces is not None:
        return query
    places = permitted(ctx, Action.AUDIT_READ)
    identity.permit(ctx.in_workspace(places[0] if places else None), Action.AUDIT_READ)
    return dataclasses.replace(query, workspaces=None if places is None else tuple(places))


def permit_computes(ctx: Ctx) -> None:
    """Raise unless the actor may look at the computes of the context's workspace."""
    assert ctx.workspace is not None
    get(ctx, ctx.workspace)
    identity.permit(ctx, Action.COMPUTE_READ)


def substitutions(ctx: Ctx, name: str) -> list[dict[str, str]]:
    """What stands in for packages that cannot be had in a workspace. Raises NotFound."""
    found = get(ctx, name)
    identity.permit(ctx, Action.PACKAGE_READ, name)
    return list(found.settings.get("package_substitutions", []))


def reach(ctx: Ctx, workspace: str | None = None) -> tuple[str, ...]:
    """What may be connected to from a workspace (that of the context, if none is named) beside the internet: what the
    installation allows, and what the workspace does."""
    name = workspace or ctx.workspace
    found = store.get(ctx, name) if name else None
    allowed = found.settings.get("private_addresses", ()) if found else ()
    return (*outbound.allowances(ctx.port(Settings).private_addresses), *allowed)


class Kinds:
    """Fills ``identity.ports.WorkspaceKinds``."""

    def kind(self, ctx: Ctx, workspace: str) -> WorkspaceKind:
        return get(ctx, workspace).kind

    def shared(self, ctx: Ctx, workspace: str) -> bool:
        return get(ctx, workspace).is_registry
