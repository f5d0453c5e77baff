"""What has been changed by hand since a set-up was applied."""

from __future__ import annotations

from dataclasses import dataclass

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.events import model as facts
from doubleloop.events import queries as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.setups import planning, store, there

_SUBJECT = {"registry": "workspace"}
# Facts of these kinds that change the thing itself; of others every fact does.
_CHANGES = {
    "rule": ("rule.created", "rule.changed", "rule.deleted"),
    "user": ("user.created", "user.disabled", "user.enabled"),
}


@dataclass(frozen=True)
class Drifted:
    """``unmanaged``: (kind, name) of what there is and no set-up names; no drift, and never removed."""

    drifts: list[planning.Drift]
    unmanaged: list[planning.Key]


def drift(ctx: Ctx, setup: str | None = None) -> Drifted:
    """Of one set-up, or of all. Raises NotFound for one that was never applied."""
    identity.permit(ctx, Action.WORKSPACE_WRITE)
    items, now = store.items(ctx), there.look(ctx)
    names = {item.setup for item in items}
    if setup is not None and setup not in names:
        raise errors.NotFound(
            f"The set-up '{setup}' was never applied", cure=f"There are: {', '.join(sorted(names)) or 'none yet'}."
        )
    found = []
    for item in sorted(items, key=lambda each: (planning.ORDER.index(each.kind), each.name)):
        became = planning.drifted(item.fields, now.get(item.key))
        if became is None or setup not in (None, item.setup) or _is_over(ctx, item):
            continue
        fact = _last(ctx, item)
        who, when = (fact.actor, fact.at) if fact else (None, None)
        found.append(planning.Drift(item.setup, became[0], *item.key, became[1], who, when))
    return Drifted(found, sorted(set(now) - {item.key for item in items}))


def _is_over(ctx: Ctx, item: store.Item) -> bool:
    """An assignment that came to its end as its file says was not taken back by hand."""
    until = item.fields.get("until") if item.kind == "assignment" else None
    return until is not None and planning.is_past(until, ctx.now)


def _last(ctx: Ctx, item: store.Item) -> facts.Fact | None:
    """The newest change of a thing since it was applied."""
    if item.kind == "assignment":
        return _taken_back(ctx, item)
    subject = f"{_SUBJECT.get(item.kind, item.kind)}:{item.name}"
    found = events.facts(ctx, types=_CHANGES.get(item.kind, ()), subject=subject, newest_first=True, limit=1)
    return found[0] if found and found[0].at > item.applied_at else None


def _taken_back(ctx: Ctx, item: store.Item) -> facts.Fact | None:
    """Assignments have no names in the record: who had which role."""
    for fact in events.facts(ctx, types=["assignment.removed"], newest_first=True, limit=100):
        if fact.at > item.applied_at and item.name.startswith(f"{fact.data['principal']} {fact.data['role']} on "):
            return fact
    return None
