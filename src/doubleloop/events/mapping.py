"""What the record says of who asked: by which means, from where, permitted by what. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from doubleloop.base import actors


def context(actor: actors.Actor, grants: Iterable[actors.Grant]) -> dict[str, Any] | None:
    """Without what is not known; None when nothing is. Of ``grants`` those of the actor count, each once."""
    own = list(dict.fromkeys(grant for grant in grants if grant.actor == actor.id))
    origin = actor.origin
    found: dict[str, Any] = {
        "door": origin.door if origin else "",
        "address": origin.address if origin else "",
        "agent": origin.agent if origin else "",
        "reason": origin.reason if origin else "",
        "cause": origin.cause if origin else 0,
        "login": actor.login,
        "token": actor.token,
        "via": actor.via,
        "personas": sorted({each for grant in own for each in grant.personas}),
        "roles": sorted({each for grant in own for each in grant.roles}),
        "permitted": [{"action": grant.action, "by": list(grant.by)} for grant in own],
    }
    return {key: value for key, value in found.items() if value} or None
