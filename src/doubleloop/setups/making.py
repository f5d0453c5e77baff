"""Making one thing as its state says, kind by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doubleloop.automation import commands as automation
from doubleloop.base import clock
from doubleloop.data import commands as data
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import assignments
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.setups import there, wanted
from doubleloop.specs import documents
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import declared
from doubleloop.workspaces import model as places


def make(ctx: Ctx, document: documents.Document, kind: str, name: str, fields: dict[str, Any]) -> None:
    """Create or change. Raises what the command of the kind raises."""
    if kind == "assignment":
        _assignment(ctx, document, name, fields)
    elif kind == "rule":
        workspace, _, rule = name.partition("/")
        automation.put_rule(ctx.in_workspace(workspace), wanted.rule(document, rule))
    elif kind in declared.KINDS:
        declared.put(ctx, kind, name, fields)
    else:
        _MAKE[kind](ctx, name, fields)


def _workspace(ctx: Ctx, name: str, fields: dict[str, Any]) -> None:
    kind = identities.WorkspaceKind(fields["kind"])
    workspaces.put(ctx, places.Workspace(name, kind, fields["description"], False, fields["settings"]))


def _registry(ctx: Ctx, name: str, fields: dict[str, Any]) -> None:
    kind = identities.WorkspaceKind.PREPRODUCTION
    workspaces.put(ctx, places.Workspace(name, kind, fields["description"], True))


def _user(ctx: Ctx, name: str, fields: dict[str, Any]) -> None:
    user = users.user(ctx, name)
    if user is None:
        identity.create_user(ctx, name, fields["display_name"])
        return
    users.update_user(ctx, name, display_name=fields["display_name"], disabled=False)
    if user.disabled:
        events.record(ctx, "user.enabled", f"user:{name}")


def _group(ctx: Ctx, name: str, fields: dict[str, Any]) -> None:
    persona = identities.Persona(fields["persona"])
    members, limited = tuple(fields["members"]), tuple(fields["workspaces"])
    jit = fields["just_in_time"], fields["needs_approval"], fields["notify"]
    identity.put_group(ctx, identities.Group(name, persona, members, limited, *jit))


def _datastore(ctx: Ctx, name: str, fields: dict[str, Any]) -> None:
    workspace, _, datastore = name.partition("/")
    data.put_datastore(ctx.in_workspace(workspace), datastore, fields)


def _assignment(ctx: Ctx, document: documents.Document, name: str, fields: dict[str, Any]) -> None:
    """An assignment never changes: the one before is taken back, and another given."""
    each = next(
        one
        for one in document.model.assignments
        if wanted.assignment_name(one.principal, one.role, one.workspace, one.resource, one.resource_kind) == name
    )
    before = there.assignments(ctx).get(name)
    if before is not None:
        assignments.remove(ctx, before.id)
    assignments.put(
        ctx, each.principal, each.role, kind=each.resource_kind, workspace=each.workspace, resource=each.resource,
        until=clock.parse(fields["until"]) if fields["until"] else None, eligible=fields["eligible"],
        needs_approval=fields["needs_approval"], reason=fields["reason"],
    )  # fmt: skip


_MAKE: dict[str, Callable[[Ctx, str, dict[str, Any]], None]] = {
    "registry": _registry,
    "workspace": _workspace,
    "user": _user,
    "group": _group,
    "datastore": _datastore,
}
