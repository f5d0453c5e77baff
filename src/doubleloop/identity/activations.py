"""Rights just in time: asked for with a reason and a length, approved by another if wanted, ended by the clock.

A decision looks at the clock itself: an activation whose time is over gives nothing, whether or not its end was noted.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from doubleloop.base import actors, clock, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands, model, standins, store
from doubleloop.identity.actions import Action

LONGEST = timedelta(hours=8)
_OPEN = (model.ActivationStatus.WAITING, model.ActivationStatus.ACTIVE)


def activate(ctx: Ctx, of: str, reason: str, length: timedelta) -> model.Activation:
    """Ask for what one is eligible for (``group:NAME`` or ``assignment:ID``). Begins at once, or once approved.

    Raises InvalidInput without a reason or for a length that is too long, NotPermitted for what one is not eligible
    for, and by the code of a job; Conflict when it was asked for already.
    """
    if not commands.is_self(ctx, ctx.actor.id) or store.user(ctx, ctx.actor.id) is None:
        raise errors.NotPermitted("Only a person activates rights, only their own, and not with a limited token")
    if not reason.strip():
        raise errors.InvalidInput("An activation needs a reason", cure="Say why: `--reason 'ticket 4711'`.")
    if not timedelta(0) < length <= LONGEST:
        raise errors.InvalidInput(f"An activation lasts more than nothing and at most {LONGEST}")
    needs_approval = _eligible(ctx, of)
    if any(each.of == of and _is_open(ctx, each) for each in store.activations(ctx, user=ctx.actor.id)):
        raise errors.Conflict(f"{of} is active or asked for already", cure="See `doubleloop role activations`.")
    asked = model.Activation(
        ids.new_id("activation"), ctx.actor.id, of, reason.strip(), int(length.total_seconds()),
        model.ActivationStatus.WAITING, ctx.now,
    )  # fmt: skip
    store.put_activation(ctx, asked)
    events.record(
        ctx, "activation.requested", f"activation:{asked.id}", user=asked.user, of=of, reason=asked.reason,
        seconds=asked.seconds, needs_approval=needs_approval,
    )  # fmt: skip
    return asked if needs_approval else _begin(ctx, asked, None)


def _eligible(ctx: Ctx, of: str) -> bool:
    """Whether another has to approve. Raises NotPermitted."""
    kind, _, name = of.partition(":")
    if kind == "group":
        for group in store.groups(ctx):
            if group.name == name and group.just_in_time and ctx.actor.id in group.members:
                return group.needs_approval
    if kind == "assignment":
        found = store.assignment(ctx, name)
        own = {f"user:{ctx.actor.id}"} | {f"group:{each.name}" for each in store.groups_of(ctx, ctx.actor.id)}
        if found and found.eligible and found.principal in own and (found.until is None or found.until > ctx.now):
            return found.needs_approval
    raise errors.NotPermitted(
        f"{ctx.actor.id} is not eligible for {of}",
        cure="`doubleloop role activations` shows what you may activate.",
    )


def _is_open(ctx: Ctx, activation: model.Activation) -> bool:
    return activation.status in _OPEN and (activation.ends_at is None or activation.ends_at > ctx.now)


def _begin(ctx: Ctx, asked: model.Activation, by: str | None) -> model.Activation:
    ends_at = ctx.now + timedelta(seconds=asked.seconds)
    begun = dataclasses.replace(asked, status=model.ActivationStatus.ACTIVE, decided_by=by, ends_at=ends_at)
    store.put_activation(ctx, begun)
    events.record(
        ctx, "activation.started", f"activation:{asked.id}", user=asked.user, of=asked.of, reason=asked.reason,
        approved_by=by, ends_at=clock.iso(ends_at),
    )  # fmt: skip
    return begun


def decide(ctx: Ctx, id_: str, approve: bool, comment: str = "") -> model.Activation:
    """Another's yes or no. Raises NotFound, Conflict when it is decided, NotPermitted for one's own."""
    found = _get(ctx, id_)
    if not _is_another(ctx, found):
        raise errors.NotPermitted(f"{ctx.actor.id} cannot decide this: it must be another person than {found.user}")
    if found.status is not model.ActivationStatus.WAITING:
        raise errors.Conflict(f"The activation {id_} is {found.status} already")
    if approve:
        _eligible(ctx.acting_as(dataclasses.replace(ctx.actor, id=found.user)), found.of)
        return _begin(ctx, found, ctx.actor.id)
    refused = dataclasses.replace(found, status=model.ActivationStatus.REFUSED, decided_by=ctx.actor.id)
    store.put_activation(ctx, refused)
    events.record(ctx, "activation.refused", f"activation:{id_}", user=found.user, of=found.of, comment=comment)
    return refused


def _is_another(ctx: Ctx, asked: model.Activation) -> bool:
    """Whether the actor is a person, and no other name of the one who asks."""
    person = ctx.actor.kind is actors.ActorKind.PERSON and ctx.actor.job() == (None, None)
    return person and asked.user not in {ctx.actor.id, *standins.behind(ctx)}


def may_decide(ctx: Ctx, asked: model.Activation) -> bool:
    """Whether it waits, and the actor may say yes or no to it."""
    waits = asked.status is model.ActivationStatus.WAITING
    return waits and _is_another(ctx, asked) and commands.decide(ctx.in_workspace(None), Action.IDENTITY_WRITE).allowed


def waiting(ctx: Ctx) -> list[model.Activation]:
    """Those that wait for the actor's yes or no, longest first."""
    asked = store.activations(ctx, status=model.ActivationStatus.WAITING)
    return [each for each in asked if may_decide(ctx, each)]


def told(ctx: Ctx, id_: str) -> set[str]:
    """Notification targets of the groups with a member who may decide on a waiting activation."""
    asked = store.activations(ctx, id_=id_, status=model.ActivationStatus.WAITING)
    return {
        group.notify for each in asked for group in store.groups(ctx)
        if group.notify and any(may_decide(ctx.acting_as(actors.named(member)), each) for member in group.members)
    }  # fmt: skip


def end(ctx: Ctx, id_: str) -> model.Activation:
    """End one's own early, or another's with identity.write. A second time changes nothing. Raises NotFound."""
    found = _get(ctx, id_)
    return _end(ctx, found, "ended by hand") if found.status in _OPEN else found


def _end(ctx: Ctx, activation: model.Activation, why: str) -> model.Activation:
    ended = dataclasses.replace(
        activation, status=model.ActivationStatus.ENDED, ends_at=min(activation.ends_at or ctx.now, ctx.now)
    )
    store.put_activation(ctx, ended)
    events.record(ctx, "activation.ended", f"activation:{ended.id}", user=ended.user, of=ended.of, why=why)
    return ended


def over(ctx: Ctx) -> bool:
    """Whether the time of any is over and nobody has noted it."""
    running = store.activations(ctx, status=model.ActivationStatus.ACTIVE)
    return any(each.ends_at is not None and each.ends_at <= ctx.now for each in running)


def next_end(ctx: Ctx) -> datetime | None:
    """When the time of the next is over."""
    running = store.activations(ctx, status=model.ActivationStatus.ACTIVE)
    return min((each.ends_at for each in running if each.ends_at is not None), default=None)


def end_over(ctx: Ctx) -> list[model.Activation]:
    """Note the end of those whose time is over; called by the worker's look at the clock."""
    running = store.activations(ctx, status=model.ActivationStatus.ACTIVE)
    return [
        _end(ctx, each, "its time is over") for each in running if each.ends_at is not None and each.ends_at <= ctx.now
    ]


def _get(ctx: Ctx, id_: str) -> model.Activation:
    """One's own, or any with identity.write; others are not even told whether there is one."""
    found = store.activations(ctx, id_=id_)
    if not found or found[0].user != ctx.actor.id:
        commands.permit(ctx, Action.IDENTITY_WRITE)
    if not found:
        raise errors.NotFound(f"There is no activation {id_}", cure="`doubleloop role activations` shows them.")
    return found[0]


def list_(ctx: Ctx, only_open: bool = False) -> list[model.Activation]:
    """One's own, and those of others with identity.read; oldest first."""
    mine = None if commands.decide(ctx, Action.IDENTITY_READ).allowed else ctx.actor.id
    return [each for each in store.activations(ctx, user=mine) if not only_open or _is_open(ctx, each)]


def eligible(ctx: Ctx) -> list[str]:
    """What the actor may activate: ``group:NAME`` and ``assignment:ID``."""
    own = {f"user:{ctx.actor.id}"} | {f"group:{each.name}" for each in store.groups_of(ctx, ctx.actor.id)}
    found = [f"group:{each.name}" for each in store.groups_of(ctx, ctx.actor.id, sleeping=True)]
    return found + [f"assignment:{a.id}" for a in store.assignments(ctx) if a.eligible and a.principal in own]
