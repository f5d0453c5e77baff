"""What a setup file says, as states in the order in which they must be made, each with its place in the file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from doubleloop.base import clock, errors
from doubleloop.identity import model as identities
from doubleloop.identity import roles
from doubleloop.setups import planning
from doubleloop.specs import documents
from doubleloop.specs import model as specs

_NOT_FIELDS = ("$schema", "name", "workspaces")

Found = dict[planning.Key, tuple[dict[str, Any], str]]


def read(document: documents.Document, now: datetime) -> Found:
    """Key to (fields, place in the file). Raises InvalidInput."""
    setup = document.model
    found: Found = {}
    for section in (_registries, _workspaces, _users, _groups):
        found.update(section(setup))
    found.update(_assignments(document, now))
    for section in (_computes, _datastores, _notifications, _budgets, _rules):
        found.update(section(setup))
    return {key: (planning.plain(fields), place) for key, (fields, place) in found.items()}


def rule(document: documents.Document, name: str) -> documents.Document:
    """A rule of the file as a document of its own, with its lines."""
    for index, each in enumerate(document.model.rules):
        if each.name == name:
            source = document.source.part(("rules", str(index)))
            read_again = documents.from_model("rule", _rule(each), source.file)
            return documents.Document("rule", read_again.model, source)
    raise errors.NotFound(f"The file has no rule '{name}'")


def _rule(each: Any) -> dict[str, Any]:
    return {key: value for key, value in specs.plain(each).items() if key != "workspaces"}


def _body(each: Any) -> dict[str, Any]:
    return {key: value for key, value in specs.plain(each).items() if key not in _NOT_FIELDS}


def _limited(each: Any) -> dict[str, Any]:
    return {**_body(each), "workspaces": sorted(each.workspaces or [])}


def _registries(setup: Any) -> Found:
    found: Found = {}
    if setup.registry is not None:
        found[("registry", setup.registry.name)] = {"description": setup.registry.description or ""}, "registry"
    for index, each in enumerate(setup.registries):
        found[("registry", each.name)] = {"description": each.description or ""}, f"registries.{index}"
    return found


def _workspaces(setup: Any) -> Found:
    found: Found = {}
    for index, each in enumerate(setup.workspaces):
        settings: dict[str, Any] = {}
        if each.package_substitutions:
            settings["package_substitutions"] = [specs.plain(item) for item in each.package_substitutions]
        if each.private_addresses:
            settings["private_addresses"] = sorted(each.private_addresses)
        if each.display_name:
            settings["display_name"] = each.display_name
        fields = {"kind": each.kind, "description": each.description or "", "settings": settings}
        found[("workspace", each.name)] = fields, f"workspaces.{index}"
    return found


def _users(setup: Any) -> Found:
    return {
        ("user", each.name): ({"display_name": each.display_name or each.name, "disabled": False}, f"users.{index}")
        for index, each in enumerate(setup.users)
    }


def _groups(setup: Any) -> Found:
    found: Found = {}
    for index, each in enumerate(setup.groups):
        fields = {
            "persona": each.persona, "members": sorted(each.members), "workspaces": sorted(each.workspaces or []),
            "just_in_time": roles.just_in_time(identities.Persona(each.persona)) if each.just_in_time is None
            else each.just_in_time, "needs_approval": bool(each.needs_approval), "notify": each.notify,
        }  # fmt: skip
        found[("group", each.name)] = fields, f"groups.{index}"
    return found


def _assignments(document: documents.Document, now: datetime) -> Found:
    found: Found = {}
    for index, each in enumerate(document.model.assignments):
        place = f"assignments.{index}"
        until = _moment(document, each.until, f"{place}.until")
        if until is not None and until <= now:
            continue  # over: the file still says so, and there is nothing to give
        fields = {
            "until": until and clock.iso(until), "eligible": each.eligible, "needs_approval": each.needs_approval,
            "reason": each.reason or "",
        }  # fmt: skip
        key = (
            "assignment",
            assignment_name(each.principal, each.role, each.workspace, each.resource, each.resource_kind),
        )
        if key in found:
            raise errors.InvalidInput("this assignment is listed twice", where=document.where(place))
        found[key] = fields, place
    return found


def assignment_name(principal: str, role: str, workspace: str | None, resource: str | None, kind: str | None) -> str:
    """Assignments have no names of their own: who, which role, where."""
    place = f"{workspace}/{resource}" if resource else workspace or "the installation"
    return f"{principal} {role} on {place}" + (f" ({kind})" if kind else "")


def _moment(document: documents.Document, text: str | None, place: str) -> datetime | None:
    if text is None:
        return None
    try:
        return clock.parse(text)
    except ValueError:
        raise errors.InvalidInput(
            f"'{text}' is not a time", where=document.where(place), cure="Write 2027-01-31T18:00:00Z."
        ) from None


def _computes(setup: Any) -> Found:
    return {("compute", each.name): (_limited(each), f"computes.{i}") for i, each in enumerate(setup.computes)}


def _notifications(setup: Any) -> Found:
    return {
        ("notification", each.name): (_limited(each), f"notifications.{i}")
        for i, each in enumerate(setup.notifications)
    }


def _budgets(setup: Any) -> Found:
    return {
        ("budget", each.name): (
            {"workspace": each.workspace, "amount": each.amount, "currency": each.currency, "period": each.period,
             "alert_at": list(each.alert_at), "notify": list(each.notify), **_narrowed(each)},
            f"budgets.{index}",
        )
        for index, each in enumerate(setup.budgets)
    }  # fmt: skip


def _narrowed(budget: Any) -> dict[str, Any]:
    """What a budget may say beside: left out where it says nothing, as budgets have it that were applied before."""
    said = {"compute": budget.compute, "endpoint": budget.endpoint, "forecast_at": list(budget.forecast_at)}
    return {name: value for name, value in said.items() if value}


def _datastores(setup: Any) -> Found:
    names = [each.name for each in setup.workspaces]
    return {
        ("datastore", f"{workspace}/{each.name}"): (_body(each), f"datastores.{index}")
        for index, each in enumerate(setup.datastores)
        for workspace in each.workspaces or names
    }


def _rules(setup: Any) -> Found:
    names = [each.name for each in setup.workspaces]
    return {
        ("rule", f"{workspace}/{each.name}"): ({"enabled": True, **_body(each)}, f"rules.{index}")
        for index, each in enumerate(setup.rules)
        for workspace in each.workspaces or names
    }
