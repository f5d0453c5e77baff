"""Removing what a setup file made and no longer names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from doubleloop.automation import commands as automation
from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.db.context import Ctx
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import queries as serving
from doubleloop.events import commands as events
from doubleloop.identity import assignments
from doubleloop.identity import commands as identity
from doubleloop.identity import store as users
from doubleloop.identity.actions import Action
from doubleloop.setups import holdings, planning, there
from doubleloop.workspaces import declared
from doubleloop.workspaces import store as workspaces

PLACES = ("workspace", "registry")


def judged(
    ctx: Ctx, changes: Sequence[planning.Change], delete_data: Collection[str], wanted: planning.State
) -> list[planning.Change]:
    """The changes, each removal with what it would take along or why it cannot be done.

    Raises InvalidInput for a name of ``delete_data`` that is not being removed.
    """
    going = {change.key for change in changes if change.action == "remove"}
    for name in delete_data:
        if not any((kind, name) in going for kind in PLACES):
            raise errors.InvalidInput(
                f"'{name}' is no workspace or registry that would be removed", cure="Leave out its --delete-data."
            )
    return [
        _judged(ctx, change, going, delete_data, wanted) if change.action == "remove" else change for change in changes
    ]


def _judged(
    ctx: Ctx,
    change: planning.Change,
    going: Collection[planning.Key],
    delete_data: Collection[str],
    wanted: planning.State,
) -> planning.Change:
    if change.kind == "user":
        return dataclasses.replace(change, note="disabled, not deleted: the record names them")
    if change.kind == "group":
        return dataclasses.replace(change, refused=_left(ctx, going, f"group:{change.name}", None))
    if change.kind == "notification":
        told = _staying(ctx, going, wanted, lambda group: change.name == group["notify"])
        return dataclasses.replace(change, refused=f"the group {', '.join(told)} is told by it" if told else "")
    if change.kind not in PLACES:
        return change
    found = holdings.held(ctx, change.name)
    staying = _staying(ctx, going, wanted, lambda group: change.name in group["workspaces"])
    why = holdings.stopped_by(ctx, change.name, found, staying)
    why = why or _left(ctx, going, None, change.name) or _by_hand(ctx, change.name, going)
    if why:
        return dataclasses.replace(change, refused=why)
    if found and change.name not in delete_data:
        return dataclasses.replace(
            change, refused=f"it holds {holdings.words(found)}: to delete them too, add --delete-data {change.name}"
        )
    return dataclasses.replace(change, note=f"with {holdings.words(found)}" if found else "")


def _left(ctx: Ctx, going: Collection[planning.Key], principal: str | None, workspace: str | None) -> str:
    ids = [each.id for name, each in there.assignments(ctx).items() if ("assignment", name) in going]
    left = holdings.given_by_hand(ctx, principal, workspace, ids)
    return f"roles that no file gave are left ({', '.join(left)}): remove them first" if left else ""


def _staying(
    ctx: Ctx,
    going: Collection[planning.Key],
    wanted: planning.State,
    names_it: Callable[[Mapping[str, Any]], bool],
) -> list[str]:
    """Groups that would be left and name what goes."""
    left = [group for group in users.groups(ctx) if ("group", group.name) not in going]
    return [group.name for group in left if names_it(wanted.get(("group", group.name), group.told()))]


def _by_hand(ctx: Ctx, workspace: str, going: Collection[planning.Key]) -> str:
    left = [
        f"{kind} {name}"
        for kind, name in there.look(ctx)
        if kind in ("rule", "datastore") and name.startswith(f"{workspace}/") and (kind, name) not in going
    ]
    return f"it has what no file made ({', '.join(sorted(left))}): remove that first" if left else ""


def remove(ctx: Ctx, kind: str, name: str) -> None:
    """Raises what the command of the kind raises."""
    workspace, _, below = name.partition("/")
    if kind == "rule":
        automation.delete_rule(ctx.in_workspace(workspace), below)
    elif kind == "datastore":
        data.remove_datastore(ctx.in_workspace(workspace), below)
    elif kind in declared.KINDS:
        declared.remove(ctx, kind, name)
    elif kind == "assignment":
        assignments.remove(ctx, there.assignments(ctx)[name].id)
    elif kind == "group":
        _group(ctx, name)
    elif kind == "user":
        _user(ctx, name)
    else:
        _place(ctx, name)


def _group(ctx: Ctx, name: str) -> None:
    identity.permit(ctx, Action.IDENTITY_WRITE)
    found = next(group for group in users.groups(ctx) if group.name == name)
    identity.refuse_own(ctx, f"group:{name}", found.members)
    ctx.tx.execute(users.GROUPS.delete().where(users.GROUPS.c.name == name))
    events.record(ctx, "group.removed", f"group:{name}", persona=found.persona.value, members=sorted(found.members))


def _user(ctx: Ctx, name: str) -> None:
    identity.permit(ctx, Action.IDENTITY_WRITE)
    if name == ctx.actor.id:
        raise errors.Conflict(f"User {name} would disable themselves", cure="Let somebody else apply this.")
    users.update_user(ctx, name, disabled=True)
    events.record(ctx, "user.disabled", f"user:{name}")


def _place(ctx: Ctx, name: str) -> None:
    """A workspace or registry with all it holds; endpoints by their own command, which takes them from the gateway."""
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    inside = ctx.in_workspace(name)
    found = holdings.held(ctx, name)
    if "endpoints" in found:
        for endpoint in serving.endpoints(inside):
            endpoints.delete_endpoint(inside, endpoint.name)
    holdings.remove(ctx, name)
    workspaces.remove(ctx, name)
    events.record(ctx, "workspace.removed", f"workspace:{name}", held=found)
