"""Processes that people make (``service:ci``): made, shown, stopped, removed. What they may do comes from roles and
groups, as for anybody; they cannot log in, approve nothing and administer nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime

from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import assignments, commands, model, services, store
from doubleloop.identity.actions import Action


@dataclass(frozen=True)
class Shown:
    """Of the system's own: what it is for and its ``actions``. Of one that was made, what it may do follows from its
    groups and assignments."""

    name: str
    id: str
    built_in: bool
    owner: str | None
    workspace: str | None
    description: str
    disabled: bool
    created_at: datetime | None
    groups: tuple[str, ...]
    assignments: tuple[model.Assignment, ...]
    actions: tuple[Action, ...]


def create(
    ctx: Ctx,
    name: str,
    *,
    description: str = "",
    workspace: str | None = None,
    owner: str | None = None,
    role: str | None = None,
    persona: model.Persona | None = None,
) -> model.Principal:
    """Make ``service:name``; in ``workspace`` alone when one is given, with ``role`` there, or in a group of its own
    (``service-name``) with ``persona``. ``owner`` is the actor unless another user is named.

    Raises InvalidInput for a name that cannot be one or that the system uses, Conflict when it is taken, NotFound for
    an owner who is not there, NotPermitted without identity.write (in the workspace), or for more than one may oneself.
    """
    commands.permit(ctx, Action.IDENTITY_WRITE, workspace)
    made = model.Principal(name, owner or ctx.actor.id, workspace, description, False, ctx.now)
    if not ids.is_name(name) or made.id in services.RESERVED:
        raise errors.InvalidInput(
            f"'{name[:80]}' cannot be the name of a process",
            cure="Use letters, digits, '.', '_' and '-'; not a built-in's.",
        )
    if store.principal(ctx, made.id):
        raise errors.Conflict(f"{made.id} exists already")
    if owner is not None and store.user(ctx, owner) is None:
        raise errors.NotFound(f"No user is named {owner}")
    store.insert_principal(ctx, made)
    events.record(
        ctx, "principal.created", made.id, owner=made.owner, workspace=workspace, role=role, persona=persona
    )  # fmt: skip
    if role is not None:
        assignments.put(ctx, made.id, role, workspace=workspace, reason=f"made with {made.id}")
    if persona is not None:
        _own_group(ctx, made, persona)
    return made


def _own_group(ctx: Ctx, made: model.Principal, persona: model.Persona) -> None:
    name = _group_name(made)
    if any(group.name == name for group in store.groups(ctx)):
        raise errors.Conflict(f"A group {name} exists already", cure="Put the process into it by the setup file.")
    places = (made.workspace,) if made.workspace else ()
    commands.put_group(ctx, model.Group(name, persona, (made.id,), places))


def _group_name(made: model.Principal) -> str:
    return f"service-{made.name}"


def set_disabled(ctx: Ctx, name: str, disabled: bool) -> model.Principal:
    """Its tokens stop at once, or work again. The owner may stop it; to let it go on takes identity.write."""
    made = _found(ctx, name, own=disabled)
    if made.disabled != disabled:
        store.disable_principal(ctx, made.name, disabled)
        events.record(ctx, "principal.disabled" if disabled else "principal.enabled", made.id)
    return dataclasses.replace(made, disabled=disabled)


def delete(ctx: Ctx, name: str) -> None:
    """With its tokens and roles, and out of its groups; what it did stays on record. By its owner, or with
    identity.write."""
    made = _found(ctx, name, own=True)
    for group in store.groups(ctx):
        if made.id not in group.members:
            continue
        rest = tuple(each for each in group.members if each != made.id)
        if not rest and group.name == _group_name(made):
            store.delete_group(ctx, group.name)
            events.record(ctx, "group.removed", f"group:{group.name}", persona=group.persona.value, members=[made.id])
        else:
            store.put_group(ctx, dataclasses.replace(group, members=rest))
            events.record(
                ctx, "group.changed", f"group:{group.name}", persona=group.persona.value, members=list(rest),
                before=group.told(),
            )  # fmt: skip
    store.delete_principal(ctx, made)
    events.record(ctx, "principal.deleted", made.id, owner=made.owner)


def _found(ctx: Ctx, name: str, *, own: bool, action: Action = Action.IDENTITY_WRITE) -> model.Principal:
    """``own``: its owner may as well. Raises NotFound, NotPermitted; what is not there is told to who may know."""
    made = store.principal(ctx, actors.PREFIX + name)
    if not (own and made and commands.is_self(ctx, made.owner)):
        commands.permit(ctx, action, made.workspace if made else None)
    if made is None:
        if actors.PREFIX + name in services.SERVICES:
            raise errors.Conflict(f"service:{name} is a process of the system and stays as it is")
        raise errors.NotFound(f"No process is named {name}", cure="`doubleloop principal list` shows them.")
    return made


def show(ctx: Ctx, name: str) -> Shown:
    """Raises NotFound. One's own, or with identity.read."""
    if actors.PREFIX + name in services.SERVICES:
        commands.permit(ctx, Action.IDENTITY_READ)
        return _built_in(ctx, actors.PREFIX + name)
    return _shown(ctx, _found(ctx, name, own=True, action=Action.IDENTITY_READ))


def list_(ctx: Ctx) -> list[Shown]:
    """Those one owns, and those of the places where one may see who may do what; the system's own first."""
    found = [_built_in(ctx, id_) for id_ in sorted(services.SERVICES)] if _sees(ctx, None) else []
    for made in store.principals(ctx):
        if made.owner == ctx.actor.id or _sees(ctx, made.workspace):
            found.append(_shown(ctx, made))
    return found


def _sees(ctx: Ctx, workspace: str | None) -> bool:
    return commands.decide(ctx, Action.IDENTITY_READ, workspace).allowed


def _built_in(ctx: Ctx, id_: str) -> Shown:
    return Shown(
        id_.removeprefix(actors.PREFIX), id_, True, None, None, services.PURPOSES[id_], False, None, (),
        _given(ctx, id_), tuple(sorted(services.SERVICES[id_])),
    )  # fmt: skip


def _shown(ctx: Ctx, made: model.Principal) -> Shown:
    groups = tuple(group.name for group in store.groups(ctx) if made.id in group.members)
    return Shown(
        made.name, made.id, False, made.owner, made.workspace, made.description, made.disabled, made.created_at, groups,
        _given(ctx, made.id), (),
    )  # fmt: skip


def _given(ctx: Ctx, id_: str) -> tuple[model.Assignment, ...]:
    return tuple(each for each in store.assignments(ctx) if each.principal == id_)
