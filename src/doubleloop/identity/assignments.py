"""Roles given to people, groups and processes at a scope, beside what personas bring; and policies of one's own."""

from __future__ import annotations

from datetime import datetime

from doubleloop.base import errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands, deciding, model, policies, ports, roles, rules, services, store
from doubleloop.identity.actions import Action


def put(
    ctx: Ctx,
    principal: str,
    role: str,
    *,
    kind: str | None = None,
    workspace: str | None = None,
    resource: str | None = None,
    until: datetime | None = None,
    eligible: bool = False,
    needs_approval: bool = False,
    reason: str = "",
) -> model.Assignment:
    """Give ``principal`` (``user:ada``, ``group:science``, ``service:jobs``) a role.

    Raises InvalidInput for a role, kind, scope or end that cannot be, NotFound for a principal or workspace that is not
    there, NotPermitted without identity.write at the scope, and for a role that one would give oneself.
    """
    commands.permit(ctx, Action.IDENTITY_WRITE, workspace)
    _check_role(role, kind)
    _check_principal(ctx, principal)
    if workspace is not None:
        ctx.port(ports.WorkspaceKinds).kind(ctx, workspace)
    if resource is not None and not rules.is_thing(workspace, resource):
        raise errors.InvalidInput(f"'{resource[:80]}' is not one thing of a workspace", cure=rules.THING_CURE)
    if until is not None and until <= ctx.now:
        raise errors.InvalidInput("The end of the assignment has passed already")
    actions = roles.actions(role, roles.ResourceKind(kind) if kind else None)
    if resource is not None and not any(rules.concerned(each, resource) for each in actions):
        raise errors.InvalidInput(f"The role {role} allows nothing on {resource}")
    commands.refuse_own(ctx, principal, given=[(actions, workspace)])
    found = model.Assignment(
        ids.new_id("assignment"), principal, role, kind, workspace, resource, until, eligible, needs_approval, reason,
        ctx.actor.id, ctx.now,
    )  # fmt: skip
    store.insert_assignment(ctx, found)
    events.record(
        ctx, "assignment.created", f"assignment:{found.id}", principal=principal, role=role, kind=kind,
        workspace=workspace, resource=resource, until=until and until.isoformat(), eligible=eligible, reason=reason,
    )  # fmt: skip
    return found


def _check_role(role: str, kind: str | None) -> None:
    if role not in roles.ROLES:
        raise errors.InvalidInput(f"'{role}' is not a role", cure=f"One of {', '.join(roles.ROLES)}.")
    if kind is not None and kind not in list(roles.ResourceKind):
        raise errors.InvalidInput(
            f"'{kind}' is not a kind of resource", cure=f"One of {', '.join(roles.ResourceKind)}."
        )
    if not roles.actions(role, roles.ResourceKind(kind) if kind else None):
        raise errors.InvalidInput(f"The role {role} allows nothing on {kind}")


def _check_principal(ctx: Ctx, principal: str) -> None:
    kind, _, name = principal.partition(":")
    known = {
        "user": lambda: store.user(ctx, name) is not None,
        "group": lambda: any(group.name == name for group in store.groups(ctx)),
        "service": lambda: principal in services.SERVICES or store.principal(ctx, principal) is not None,
    }
    if kind not in known:
        raise errors.InvalidInput(
            f"'{principal}' is not a principal", cure="Write user:NAME, group:NAME or service:NAME."
        )
    if not known[kind]():
        raise errors.NotFound(f"There is no {kind} named {name}")


def remove(ctx: Ctx, id_: str) -> None:
    """Raises NotFound."""
    found = store.assignment(ctx, id_)
    commands.permit(ctx, Action.IDENTITY_WRITE, found.workspace if found else None)
    if found is None:
        raise errors.NotFound(f"There is no assignment {id_}", cure="`doubleloop role assignments` shows them.")
    store.delete_assignment(ctx, id_)
    events.record(
        ctx, "assignment.removed", f"assignment:{id_}", principal=found.principal, role=found.role,
        kind=found.kind, workspace=found.workspace, resource=found.resource,
    )  # fmt: skip


def list_(ctx: Ctx) -> list[model.Assignment]:
    """Those of the workspaces where the actor may see who may do what; one's own always."""
    own = {f"user:{ctx.actor.id}"} | {f"group:{g.name}" for g in store.groups(ctx) if ctx.actor.id in g.members}
    return [
        each
        for each in store.assignments(ctx)
        if each.principal in own or commands.decide(ctx, Action.IDENTITY_READ, each.workspace).allowed
    ]


def put_policy(ctx: Ctx, name: str, text: str) -> None:
    """Add Cedar of one's own, or change it; it counts at once. Raises InvalidInput for what the schema refuses."""
    commands.permit(ctx, Action.IDENTITY_WRITE)
    if not ids.is_name(name):
        raise errors.InvalidInput(f"'{name[:80]}' cannot be the name of a policy")
    deciding.check(text)
    before = store.named_policies(ctx).get(name)
    store.put_policy(ctx, name, text)
    events.record(ctx, "policy.changed", f"policy:{name}", before=before, after=text)


def remove_policy(ctx: Ctx, name: str) -> None:
    """Raises NotFound."""
    commands.permit(ctx, Action.IDENTITY_WRITE)
    before = store.named_policies(ctx).get(name)
    if before is None:
        raise errors.NotFound(f"There is no policy {name}")
    store.delete_policy(ctx, name)
    events.record(ctx, "policy.removed", f"policy:{name}", before=before)


def cedar(ctx: Ctx) -> dict[str, str]:
    """The schema, and all policies as they are decided by, made from groups and assignments and added by hand."""
    commands.permit(ctx, Action.IDENTITY_READ)
    text = policies.text(store.groups(ctx), store.assignments(ctx), store.policies(ctx))
    return {"schema": policies.schema(), "policies": text}
