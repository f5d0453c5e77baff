"""Planning and applying a setup file. One transaction: all of it, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.data import store as datastores
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.identity.actions import Action
from doubleloop.setups import planning
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places
from doubleloop.workspaces import store as workspace_store

# Sections that later parts of Doubleloop carry out; refused rather than silently dropped.
_NOT_YET = {
    "assignments": "Give a group a persona instead.",
    "budgets": "Leave it out: costs are not counted yet.",
    "notifications": "Name the addresses in the rules that notify.",
}


@dataclass(frozen=True)
class Plan:
    digest: str
    changes: list[planning.Change]


def plan(ctx: Ctx, document: documents.Document) -> Plan:
    """What ``apply`` would do. Raises NotSupported for sections that nothing carries out yet."""
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    _refuse(document)
    there = _there(ctx)
    return Plan(planning.digest(there), planning.differences(_wanted(document.model), there))


def apply(ctx: Ctx, document: documents.Document, digest: str | None = None) -> Plan:
    """Make it so; a second time changes nothing. Nothing that the file does not mention is removed.

    Raises Conflict when ``digest`` is given and what there is has changed since the plan.
    """
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    identity.permit(ctx, Action.IDENTITY_WRITE)
    made = plan(ctx, document)
    if digest is not None and made.digest != digest:
        raise errors.Conflict(
            "What there is has changed since the plan was made", cure="Look at a new plan, then apply that."
        )
    wanted = _wanted(document.model)
    for change in made.changes:
        if change.action != "none":
            _MAKE[change.kind](ctx, change.name, wanted[(change.kind, change.name)])
    done = [change for change in made.changes if change.action != "none"]
    if done:
        events.record(
            ctx, "setup.applied", "setup:installation", changes=[f"{c.action} {c.kind} {c.name}" for c in done]
        )
    return made


def _refuse(document: documents.Document) -> None:
    for section, cure in _NOT_YET.items():
        if getattr(document.model, section):
            raise errors.NotSupported(
                f"'{section}' of a setup file is not carried out yet", where=document.source.where(section), cure=cure
            )


def _wanted(setup: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The file as states, in the order in which they must be made."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if setup.registry is not None:
        found[("registry", setup.registry.name)] = {"description": setup.registry.description or ""}
    for each in setup.workspaces:
        settings: dict[str, Any] = {}
        if each.package_substitutions:
            settings["package_substitutions"] = [specs.plain(item) for item in each.package_substitutions]
        if each.display_name:
            settings["display_name"] = each.display_name
        found[("workspace", each.name)] = {
            "kind": each.kind, "description": each.description or "", "settings": settings,
        }  # fmt: skip
    for each in setup.users:
        found[("user", each.name)] = {"display_name": each.display_name or each.name}
    for each in setup.groups:
        found[("group", each.name)] = {
            "persona": each.persona, "members": sorted(each.members), "workspaces": sorted(each.workspaces or []),
        }  # fmt: skip
    names = [each.name for each in setup.workspaces]
    for each in setup.datastores:
        body = {key: value for key, value in specs.plain(each).items() if key not in ("$schema", "name", "workspaces")}
        for workspace in each.workspaces or names:
            found[("datastore", f"{workspace}/{each.name}")] = body
    return found


def _there(ctx: Ctx) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in workspace_store.select(ctx):
        if each.is_registry:
            found[("registry", each.name)] = {"description": each.description}
            continue
        found[("workspace", each.name)] = {
            "kind": each.kind.value, "description": each.description, "settings": each.settings,
        }  # fmt: skip
        for name, spec in datastores.datastores(ctx, each.name).items():
            found[("datastore", f"{each.name}/{name}")] = spec
    for user in users.users(ctx):
        found[("user", user.name)] = {"display_name": user.display_name}
    for group in users.groups(ctx):
        found[("group", group.name)] = {
            "persona": group.persona.value, "members": sorted(group.members), "workspaces": sorted(group.workspaces),
        }  # fmt: skip
    return found


def _make_workspace(ctx: Ctx, name: str, body: dict[str, Any]) -> None:
    kind = identities.WorkspaceKind(body["kind"])
    workspaces.put(ctx, places.Workspace(name, kind, body["description"], False, body["settings"]))


def _make_registry(ctx: Ctx, name: str, body: dict[str, Any]) -> None:
    kind = identities.WorkspaceKind.PREPRODUCTION
    workspaces.put(ctx, places.Workspace(name, kind, body["description"], True))


def _make_user(ctx: Ctx, name: str, body: dict[str, Any]) -> None:
    if users.user(ctx, name) is None:
        identity.create_user(ctx, name, body["display_name"])
    else:
        users.update_user(ctx, name, display_name=body["display_name"])


def _make_group(ctx: Ctx, name: str, body: dict[str, Any]) -> None:
    persona = identities.Persona(body["persona"])
    identity.put_group(ctx, identities.Group(name, persona, tuple(body["members"]), tuple(body["workspaces"])))


def _make_datastore(ctx: Ctx, name: str, body: dict[str, Any]) -> None:
    workspace, _, datastore = name.partition("/")
    data.put_datastore(ctx.in_workspace(workspace), datastore, body)


_MAKE = {
    "registry": _make_registry,
    "workspace": _make_workspace,
    "user": _make_user,
    "group": _make_group,
    "datastore": _make_datastore,
}
