"""What there is, in the same form as what a setup file says."""

from __future__ import annotations

from typing import Any

from doubleloop.automation import queries as automation
from doubleloop.base import clock
from doubleloop.data import store as datastores
from doubleloop.db.context import Ctx
from doubleloop.identity import model as identities
from doubleloop.identity import store as users
from doubleloop.setups import planning
from doubleloop.setups.wanted import assignment_name
from doubleloop.workspaces import declared
from doubleloop.workspaces import store as workspaces

Found = dict[planning.Key, dict[str, Any]]


def look(ctx: Ctx) -> Found:
    found: Found = {}
    for section in (_workspaces, _people, _declared, _rules):
        found.update(section(ctx))
    return {key: planning.plain(fields) for key, fields in found.items()}


def assignments(ctx: Ctx) -> dict[str, identities.Assignment]:
    """Those that are not over, by the name that they have in plans."""
    return {
        assignment_name(each.principal, each.role, each.workspace, each.resource, each.kind): each
        for each in users.assignments(ctx)
        if each.until is None or each.until > ctx.now
    }


def _workspaces(ctx: Ctx) -> Found:
    found: Found = {}
    for each in workspaces.select(ctx):
        if each.is_registry:
            found[("registry", each.name)] = {"description": each.description}
            continue
        found[("workspace", each.name)] = {
            "kind": each.kind.value, "description": each.description, "settings": each.settings,
        }  # fmt: skip
        for name, spec in datastores.datastores(ctx, each.name).items():
            found[("datastore", f"{each.name}/{name}")] = spec
    return found


def _people(ctx: Ctx) -> Found:
    found: Found = {}
    for user in users.users(ctx):
        found[("user", user.name)] = {"display_name": user.display_name, "disabled": user.disabled}
    for group in users.groups(ctx):
        found[("group", group.name)] = {
            "persona": group.persona.value, "members": sorted(group.members), "workspaces": sorted(group.workspaces),
            "just_in_time": group.just_in_time, "needs_approval": group.needs_approval, "notify": group.notify,
        }  # fmt: skip
    for name, each in assignments(ctx).items():
        found[("assignment", name)] = {
            "until": each.until and clock.iso(each.until), "eligible": each.eligible,
            "needs_approval": each.needs_approval, "reason": each.reason,
        }  # fmt: skip
    return found


def _declared(ctx: Ctx) -> Found:
    return {(kind, name): spec for kind in declared.KINDS for name, spec in declared.every(ctx, kind).items()}


def _rules(ctx: Ctx) -> Found:
    found: Found = {}
    for rule in automation.rules(ctx.in_workspace(None)):
        if rule.is_default:  # a release's, not a set-up's
            continue
        body = {key: value for key, value in rule.document["spec"].items() if key not in ("$schema", "name")}
        found[("rule", f"{rule.workspace}/{rule.name}")] = {**body, "enabled": rule.enabled}
    return found
