"""Roles and assignments as Cedar: the schema, the policies that every installation has, and one policy an assignment.

Pure text in, text out; ``deciding`` runs it. Cedar denies what no policy permits, and one ``forbid`` outweighs all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache

from doubleloop.identity import model, roles, services
from doubleloop.identity.actions import Action
from doubleloop.identity.model import WorkspaceKind

JOB_CODE = "code of a job"
APPROVING = "people approve"
ADMINISTRATOR = "administrator"
ONE_WORKSPACE = "token of one workspace"
ONE_THING = "token of one thing"
SOME_ACTIONS = "token of some actions"
INSTALLATION = 'Doubleloop::Installation::"this"'
REGISTRIES = 'Doubleloop::Shelf::"registries"'


def quoted(text: str) -> str:
    """A Cedar string. Its escapes are Rust's: JSON's differ for what is not printable ASCII."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def entity(type_: str, id_: str) -> str:
    return f"Doubleloop::{type_}::{quoted(id_)}"


def role_group(role: str, kind: str | None = None) -> str:
    """The group of actions of a role, on one kind of resource or on all."""
    return f"{role} on {kind}" if kind else role


@cache
def action_groups() -> dict[str, frozenset[Action]]:
    """Every named set of actions that policies may speak of."""
    found = {role_group(role, kind): actions for role, kinds in roles.ROLES.items() for kind, actions in kinds.items()}
    found |= {role: roles.actions(role) for role in roles.ROLES}
    found |= {f"{persona} everywhere": roles.everywhere(persona) for persona in model.Persona}
    found |= {f"service {name}": actions for name, actions in services.SERVICES.items()}
    found[JOB_CODE] = services.JOB_CODE
    found[ADMINISTRATOR] = services.ADMIN
    return {name: actions for name, actions in found.items() if actions}


@cache
def schema() -> str:
    groups = action_groups()
    lines = [
        "namespace Doubleloop {",
        "  entity Installation;",
        "  entity Environment in [Installation];",
        "  entity Shelf in [Installation];",
        "  entity Workspace in [Environment, Shelf, Installation];",
        "  entity Item in [Workspace];",
        "  entity Group;",
        "  entity User in [Group] { administrator: Bool };",
        "  entity Service in [Group];",
    ]
    lines += [f"  action {quoted(name)};" for name in groups]
    for action in Action:
        within = ", ".join(quoted(name) for name, actions in groups.items() if action in actions)
        lines.append(
            f"  action {quoted(action)} in [{within}] appliesTo {{\n"
            "    principal: [User, Service], resource: [Installation, Workspace, Item],\n"
            "    context: { job: Bool, asked: String, only?: Workspace, thing?: Item, granted?: Set<String> }\n  };"
        )
    return "\n".join([*lines, "}", ""])


def _policy(id_: str, why: str, effect: str, head: Sequence[str], tail: str = "") -> str:
    who, what, where = head
    return f"@id({quoted(id_)})\n@why({quoted(why)})\n{effect} ({who}, {what}, {where}){tail};\n"


def _on(group: str) -> str:
    return f"action in {entity('Action', group)}"


@cache
def always() -> str:
    """What holds in every installation: the administrator, the system's own processes, the limits of tokens."""
    found = [
        _policy(
            ADMINISTRATOR, "administers this installation", "permit",
            ("principal is Doubleloop::User", _on(ADMINISTRATOR), "resource"), " when { principal.administrator }",
        ),
        _policy(
            ONE_WORKSPACE, "the token is for one workspace alone", "forbid",
            ("principal", "action", "resource"),
            f" when {{ context has only && !(resource in context.only || resource in {REGISTRIES}) }}",
        ),
        _policy(
            ONE_THING, "the token is for one thing alone", "forbid",
            ("principal", "action", "resource"), " when { context has thing && !(resource in context.thing) }",
        ),
        _policy(
            SOME_ACTIONS, "the token does not allow it", "forbid",
            ("principal", "action", "resource"),
            " when { context has granted && !context.granted.contains(context.asked) }",
        ),
        _policy(
            JOB_CODE, "no job may do this, whoever submitted it", "forbid",
            ("principal", "action", "resource"),
            f" when {{ context.job }} unless {{ action in {entity('Action', JOB_CODE)} }}",
        ),
        _policy(
            APPROVING, "only a person approves", "forbid",
            (
                "principal is Doubleloop::Service", f"action == {entity('Action', Action.RELEASE_APPROVE)}", "resource",
            ),
        ),
    ]  # fmt: skip
    for name in (name for name, actions in services.SERVICES.items() if actions):
        who = f"principal == {entity('Service', name)}"
        found.append(
            _policy(f"process {name}", f"{name} is a process of the system", "permit",
                    (who, _on(f"service {name}"), "resource"))
        )  # fmt: skip
    return "\n".join(found)


def of_group(group: model.Group) -> list[str]:
    """The default assignments of a group with a persona: a policy each, and one for the installation as a whole."""
    who = f"principal in {entity('Group', group.name)}"
    tail = ""
    if group.workspaces:
        places = [*(entity("Workspace", name) for name in group.workspaces), REGISTRIES]
        tail = f" when {{ {' || '.join(f'resource in {place}' for place in places)} }}"
    found = [
        _policy(
            f"group {group.name}: {cell.role} on {cell.kind} in {environment}",
            f"group {group.name} ({group.persona})", "permit",
            (who, _on(role_group(cell.role, cell.kind)), f"resource in {entity('Environment', environment)}"), tail,
        )
        for environment in WorkspaceKind
        for cell in roles.of_persona(group.persona, environment)
    ]  # fmt: skip
    if not group.workspaces and roles.everywhere(group.persona):
        found.append(
            _policy(
                f"group {group.name}: everywhere", f"group {group.name} ({group.persona})", "permit",
                (who, _on(f"{group.persona} everywhere"), f"resource == {INSTALLATION}"),
            )
        )  # fmt: skip
    return found


def of_assignment(assignment: model.Assignment) -> str:
    kind, _, name = assignment.principal.partition(":")
    who = {
        "user": f"principal == {entity('User', name)}",
        "group": f"principal in {entity('Group', name)}",
        "service": f"principal == {entity('Service', assignment.principal)}",
    }[kind]
    if assignment.resource is not None:
        where = f"resource == {entity('Item', f'{assignment.workspace}/{assignment.resource}')}"
    elif assignment.workspace is not None:
        where = f"resource in {entity('Workspace', assignment.workspace)}"
    else:
        where = f"resource in {INSTALLATION}"
    role = role_group(assignment.role, assignment.kind)
    place = assignment.resource or assignment.workspace or "this installation"
    return _policy(
        f"assignment {assignment.id}", f"assignment {assignment.id}: {role} for {assignment.principal} at {place}",
        "permit", (who, _on(role), where),
    )  # fmt: skip


def held(
    by: Iterable[str], groups: Iterable[model.Group], assignments: Iterable[model.Assignment]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The personas and roles that policies of these ids stand for."""
    given = {f"assignment {each.id}": each.role for each in assignments} | {ADMINISTRATOR: ADMINISTRATOR}
    personas, held_roles = set(), set()
    for id_ in by:
        held_roles |= {given[id_]} if id_ in given else set()
        for group in groups:
            head, _, cell = id_.partition(f"group {group.name}: ")
            if not head and cell:
                personas.add(group.persona.value)
                held_roles |= {cell.partition(" on ")[0]} if " on " in cell else set()
    return tuple(sorted(personas)), tuple(sorted(held_roles))


def text(groups: Iterable[model.Group], assignments: Iterable[model.Assignment], own: Iterable[str] = ()) -> str:
    """The whole of it, readable; ``own``: policies that were added to this installation."""
    parts = [always(), *(policy for group in groups for policy in of_group(group))]
    return "\n".join([*parts, *map(of_assignment, assignments), *own])


def entities(asked: model.Asked, administrator: bool, groups: Iterable[str]) -> str:
    """The part of the world that one question is about, as Cedar's JSON."""
    kind, name = principal(asked)
    found = [
        {
            "uid": _uid(kind, name),
            "attrs": {"administrator": administrator} if kind == "User" else {},
            "parents": [_uid("Group", group) for group in groups],
        },
        {"uid": _uid("Installation", "this"), "attrs": {}, "parents": []},
    ]
    if asked.workspace is not None:
        parents = [_uid("Installation", "this")]
        for type_, id_ in (("Environment", asked.environment), ("Shelf", "registries" if asked.registry else None)):
            if id_:
                found.append({"uid": _uid(type_, id_), "attrs": {}, "parents": [_uid("Installation", "this")]})
                parents.append(_uid(type_, id_))
        found.append({"uid": _uid("Workspace", asked.workspace), "attrs": {}, "parents": parents})
        if asked.resource is not None:
            item = _uid("Item", f"{asked.workspace}/{asked.resource}")
            found.append({"uid": item, "attrs": {}, "parents": [_uid("Workspace", asked.workspace)]})
    return json.dumps(found)


def request(asked: model.Asked) -> dict[str, object]:
    kind, name = principal(asked)
    if asked.resource is not None:
        resource = _uid("Item", f"{asked.workspace}/{asked.resource}")
    elif asked.workspace is not None:
        resource = _uid("Workspace", asked.workspace)
    else:
        resource = _uid("Installation", "this")
    context: dict[str, object] = {"job": asked.job, "asked": asked.action}
    if asked.granted is not None:
        context["granted"] = sorted(asked.granted)
    if asked.thing is not None:
        context["thing"] = {"__entity": _uid("Item", f"{asked.only}/{asked.thing}")}
    if asked.only is not None:
        context["only"] = {"__entity": _uid("Workspace", asked.only)}
    return {
        "principal": _uid(kind, name), "action": _uid("Action", asked.action), "resource": resource, "context": context,
    }  # fmt: skip


def principal(asked: model.Asked) -> tuple[str, str]:
    """``service:jobs`` is a Service of that whole name; ``user:ada`` a User named ada."""
    if asked.principal.startswith("service:"):
        return "Service", asked.principal
    return "User", asked.principal.removeprefix("user:")


def _uid(type_: str, id_: str) -> dict[str, str]:
    return {"type": f"Doubleloop::{type_}", "id": id_}
