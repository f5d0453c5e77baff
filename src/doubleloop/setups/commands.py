"""Planning, applying and undoing a setup file. One transaction: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.setups import making, planning, removing, store, there, wanted
from doubleloop.specs import documents
from doubleloop.workspaces import declared


@dataclass(frozen=True)
class Plan:
    """``setup`` is the name of the set-up. What a plan refuses is not applied, and neither is the rest of it."""

    digest: str
    changes: list[planning.Change]
    setup: str

    @property
    def real(self) -> list[planning.Change]:
        return [change for change in self.changes if change.action != "none"]


def plan(ctx: Ctx, document: documents.Document, delete_data: Collection[str] = ()) -> Plan:
    """What ``apply`` would do. Raises InvalidInput with file and line."""
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    read = wanted.read(document, ctx.now)
    _check_targets(ctx, document, read)
    return _planned(ctx, name(document), read, delete_data)


def _check_targets(ctx: Ctx, document: documents.Document, read: wanted.Found) -> None:
    """Raise NotFound for a group that would be told by a target which neither the file nor the installation has."""
    known = {name for kind, name in read if kind == "notification"} | set(declared.every(ctx, "notification"))
    for (kind, group), (fields, place) in read.items():
        if kind == "group" and fields["notify"] not in (None, *known):
            raise errors.NotFound(
                f"Group {group} is told by '{fields['notify']}', which is no notification target",
                where=document.where(f"{place}.notify"), cure=f"There are: {', '.join(sorted(known)) or 'none yet'}.",
            )  # fmt: skip


def plan_destroy(ctx: Ctx, setup: str, delete_data: Collection[str] = ()) -> Plan:
    """What ``destroy`` would do; an empty name: the only set-up. Raises NotFound for one that made nothing."""
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    names = {item.setup for item in store.items(ctx)}
    if not setup and len(names) == 1:
        (setup,) = names
    if setup not in names:
        raise errors.NotFound(
            f"No set-up is named '{setup}'", cure=f"There are: {', '.join(sorted(names)) or 'none yet'}."
        )
    return _planned(ctx, setup, {}, delete_data)


def apply(ctx: Ctx, document: documents.Document, digest: str | None = None, delete_data: Collection[str] = ()) -> Plan:
    """Make it so; a second time changes nothing. What no file made is never removed.

    Raises Conflict when ``digest`` is given and what there is has changed since the plan, and when anything of the
    plan is refused: then nothing is done.
    """
    identity.permit(ctx, Action.IDENTITY_WRITE)
    made = plan(ctx, document, delete_data)
    _check(made, digest)
    read = wanted.read(document, ctx.now)
    known, before = store.items(ctx), there.look(ctx)
    for change in made.changes:
        if change.action in ("create", "change"):
            _make(ctx, document, change, *read[change.key])
    _undo(ctx, made)
    for key, (fields, _) in read.items():
        _remember(ctx, made.setup, key, fields, [item for item in known if item.key == key], key in before)
    _record(ctx, "setup.applied", made)
    return made


def destroy(ctx: Ctx, setup: str, confirmed: str, digest: str | None = None, delete_data: Collection[str] = ()) -> Plan:
    """Remove all that a set-up made, last things first. ``confirmed`` must be its name, typed again.

    Raises InvalidInput for another name, Conflict as ``apply``.
    """
    identity.permit(ctx, Action.IDENTITY_WRITE)
    made = plan_destroy(ctx, setup, delete_data)
    if confirmed != setup:
        raise errors.InvalidInput(f"'{confirmed}' is not the name of the set-up", cure=f"Type '{setup}' to destroy it.")
    _check(made, digest)
    _undo(ctx, made)
    _record(ctx, "setup.destroyed", made)
    return made


def name(document: documents.Document) -> str:
    """A set-up's own name, or that of its file without the ending: ``setup.yml`` is ``setup``."""
    return str(document.model.name or Path(document.source.file).stem)


def _planned(ctx: Ctx, setup: str, read: wanted.Found, delete_data: Collection[str]) -> Plan:
    items, found = store.items(ctx), there.look(ctx)
    state = {key: fields for key, (fields, _) in read.items()}
    made = {item.key: item.made for item in items if item.setup == setup}
    others = {item.key: item.setup for item in items if item.setup != setup}
    changes = [*planning.differences(state, found), *planning.gone(made, state, found, others)]
    return Plan(planning.digest(found, made), removing.judged(ctx, changes, delete_data, state), setup)


def _check(made: Plan, digest: str | None) -> None:
    if digest is not None and made.digest != digest:
        raise errors.Conflict(
            "What there is has changed since the plan was made", cure="Look at a new plan, then apply that."
        )
    refused = [f"{change.kind} {change.name}: {change.refused}" for change in made.changes if change.refused]
    if refused:
        raise errors.Conflict(
            f"Nothing was done: {'; '.join(refused)}", cure="Put it back into the file, or do as it says.",
            details={"refused": refused},
        )  # fmt: skip


def _make(ctx: Ctx, document: documents.Document, change: planning.Change, fields: dict[str, Any], place: str) -> None:
    try:
        making.make(ctx, document, change.kind, change.name, fields)
    except errors.DoubleloopError as error:
        error.where = error.where or document.where(place)
        raise


def _undo(ctx: Ctx, made: Plan) -> None:
    for change in made.changes:
        if change.action == "remove":
            removing.remove(ctx, change.kind, change.name)
        if change.action in ("remove", "forget"):
            store.remove(ctx, made.setup, change.key)


def _remember(
    ctx: Ctx, setup: str, key: planning.Key, fields: dict[str, Any], known: Sequence[store.Item], was_there: bool
) -> None:
    """``known``: what set-ups remember of the thing. One that any file made is made for all that name it."""
    before = next((item for item in known if item.setup == setup), None)
    made = any(item.made for item in known) or not was_there
    if before is None or (before.fields, before.made) != (fields, made):
        store.put(ctx, store.Item(setup, *key, made, fields, ctx.now, ctx.actor.id))


def _record(ctx: Ctx, type_: str, made: Plan) -> None:
    done = [f"{change.action} {change.kind} {change.name}" for change in made.real]
    if done and type_ == "setup.applied":
        events.record(ctx, "setup.applied", "setup:installation", setup=made.setup, changes=done)
    elif done:
        events.record(ctx, "setup.destroyed", "setup:installation", setup=made.setup, changes=done)
