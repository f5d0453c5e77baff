"""Whether a rule acts on a fact now, or keeps quiet and why. Pure; time is an argument.

The loop asks it of the tables, a rehearsal of what it has made up so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from doubleloop.automation import model
from doubleloop.base import clock
from doubleloop.events.model import Fact
from doubleloop.specs.kinds import rules as specs
from doubleloop.workspaces.model import REGISTRY

# A reaction's own facts never start another one.
OWN_FACTS = ("rule.", "schedule.", "notification.")
ABOUT_PEOPLE = ("access.", "group.", "session.", "token.", "user.")


def hears(rule: model.Rule, spec: specs.Rule, fact: Fact) -> bool:
    """Whether the fact is one for the rule: of its own workspace, of the registry, or of none, but not about people and
    their logins; and it fits."""
    if fact.type.startswith(OWN_FACTS) or not rule.enabled:
        return False
    if fact.workspace is None and fact.type.startswith(ABOUT_PEOPLE):
        return False
    return fact.workspace in (None, REGISTRY, rule.workspace) and specs.fits(spec, fact.type, fact.data)


def quiet(spec: specs.Rule, now: datetime, last: datetime | None, done: Callable[[datetime], int]) -> str:
    """Why the rule must not act now; empty when it may. ``done`` counts how often it acted since."""
    if spec.cool_down and last and now < last + clock.duration(spec.cool_down):
        return f"cooling down since {clock.iso(last)} for {spec.cool_down}"
    if spec.limit:
        times = done(now - clock.duration(spec.limit.per))
        if times >= spec.limit.count:
            return f"acted {times} times in {spec.limit.per} already"
    return ""


def told_already(fact: Fact, acted: int) -> str:
    """Two metrics that cross in one run of a monitor are one occasion; ``acted``: the fact of it that was acted on."""
    return f"acted on the alerts of run {fact.data.get('run')} already, with fact {acted}" if acted else ""


def loops(trail: Sequence[int], acted: int) -> str:
    """Why the rule must not act on a fact that it has brought about itself; ``acted``: the fact of the trail that it
    acted on."""
    if not acted:
        return ""
    steps = trail.index(acted) + 1
    return f"its own action on fact {acted} led to this one, in {steps} step{'s' if steps > 1 else ''}"
