"""Who may be the person behind an act, beside the one whose name it bears: for rules that need two people."""

from __future__ import annotations

from doubleloop.base import actors
from doubleloop.db.context import Ctx
from doubleloop.events import queries as facts
from doubleloop.identity import services, store


def behind(ctx: Ctx) -> dict[str, str]:
    """Persons, and why, who could act in the actor's name: who made the token in use, and who last set the password.

    The system's own processes are left out, and so are processes: who owns one is meant.
    """
    found: dict[str, str] = {}
    token = store.token(ctx, ctx.actor.token) if ctx.actor.token else None
    if token is not None and token.created_by:
        found[token.created_by] = "made the token in use"
    setter = _last_setter(ctx, ctx.actor.id)
    if setter is not None:
        found.setdefault(setter, "set the password")
    owners = {_person(ctx, name): why for name, why in found.items()}
    return {name: f"{why} of {ctx.actor.id}" for name, why in owners.items() if name and name != ctx.actor.id}


def _last_setter(ctx: Ctx, user: str) -> str | None:
    said = facts.facts(ctx, types=["user.password_set"], subject=f"user:{user}", newest_first=True, limit=1)
    return said[0].actor if said else None


def _person(ctx: Ctx, name: str) -> str | None:
    if not name.startswith(actors.PREFIX):
        return name
    made = store.principal(ctx, name) if name not in services.SERVICES else None
    return made.owner if made else None


def is_administrator(ctx: Ctx, name: str) -> bool:
    user = store.user(ctx, name)
    return user is not None and user.is_admin
