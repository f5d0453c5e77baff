"""What a rule would have done on the facts there are, with its cool-down, its limit and the look for loops replayed.

Nothing is changed: time is that of each fact, and what the rule would have done is remembered here alone. What other
things would have come of its actions is not known, and so not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from doubleloop.automation import causes, commands, judging, messages, model
from doubleloop.base import actors, clock, errors
from doubleloop.db.context import Ctx
from doubleloop.events import model as event_model
from doubleloop.events import queries as events
from doubleloop.events.model import Fact
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.specs import documents
from doubleloop.workspaces.model import REGISTRY

ACTOR = actors.service("automation")
PAGE = 500
# So many occasions are told one by one; all are counted.
MOST_TOLD = 500


@dataclass(frozen=True)
class Occasion:
    """``acts``: whether the rule would have; ``does`` what, else ``why`` not."""

    fact: int
    type: str
    subject: str
    at: datetime
    acts: bool
    why: str = ""
    does: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rehearsal:
    rule: str
    since: datetime
    until: datetime
    facts: int
    acted: int
    skipped: int
    occasions: tuple[Occasion, ...] = field(default=())


def rehearse(ctx: Ctx, name: str, since: datetime, document: documents.Document | None = None) -> Rehearsal:
    """The rule ``name`` as it is kept, or as ``document`` says. Raises NotFound, InvalidInput for a time to come,
    or for a fact that there is not."""
    if since >= ctx.now:
        raise errors.InvalidInput(f"{clock.iso(since)} has not been yet", cure="Name a span or a time before now.")
    if document is not None:
        identity.permit(ctx, Action.RULE_WRITE, resource=f"rule/{name}")
        assert ctx.workspace is not None
        commands.check_heard(document.model.on, document)
        rule = model.Rule(ctx.workspace, name, document.to_wire(), True, None, ctx.actor.id, ctx.now)
    else:
        identity.permit(ctx, Action.RULE_READ, resource=f"rule/{name}")
        rule = commands.get_rule(ctx, name)
    return _replay(ctx.acting_as(ACTOR), rule, since)


def _replay(ctx: Ctx, rule: model.Rule, since: datetime) -> Rehearsal:
    spec = documents.from_wire(rule.document).model
    acted: dict[int, datetime] = {}
    runs: dict[tuple[str, str], int] = {}
    told: list[Occasion] = []
    counts: Counter[bool] = Counter()
    seen = 0
    for fact in _facts(ctx, rule, since):
        seen += 1
        if not judging.hears(rule, spec, fact):
            continue
        why = _why_not(ctx, spec, fact, acted, runs)
        counts[not why] += 1
        if not why:
            acted[fact.seq] = fact.at
            if (run := _run(fact)) is not None:
                runs.setdefault(run, fact.seq)
        if len(told) < MOST_TOLD:
            does = () if why else tuple(describe(action, fact) for action in spec.do)
            told.append(Occasion(fact.seq, fact.type, fact.subject, fact.at, not why, why, does))
    return Rehearsal(rule.name, since, ctx.now, seen, counts[True], counts[False], tuple(told))


def _why_not(
    ctx: Ctx, spec: Any, fact: Fact, acted: dict[int, datetime], runs: dict[tuple[str, str], int]
) -> str:  # fmt: skip
    run = _run(fact)
    if run is not None and run in runs:
        return judging.told_already(fact, runs[run])
    trail = causes.trail(ctx, fact)
    looped = judging.loops(trail, next((seq for seq in trail if seq in acted), 0))
    last = max(acted.values(), default=None)
    return looped or judging.quiet(spec, fact.at, last, lambda start: sum(at > start for at in acted.values()))


def _run(fact: Fact) -> tuple[str, str] | None:
    run = fact.data.get("run")
    return (fact.subject, str(run)) if fact.type == "monitor.alert" and run else None


def _facts(ctx: Ctx, rule: model.Rule, since: datetime) -> Iterator[Fact]:
    """Those of the rule's workspace, of the registry and of none, oldest first."""
    query = event_model.Query(since=since, until=ctx.now)
    cursor = 0
    while page := events.audit(ctx, query, cursor=cursor, newest_first=False, limit=PAGE):
        yield from (fact for fact in page if fact.workspace in (None, REGISTRY, rule.workspace))
        cursor = page[-1].seq


def describe(action: Any, fact: Fact) -> str:
    """What an item of ``do`` would do about a fact, in a line; why it could not when a field is missing."""
    body = getattr(action, action.verb)
    try:
        return f"{action.verb}: {_DESCRIBE[action.verb](body, fact)}"
    except errors.DoubleloopError as error:
        return f"{action.verb}: would fail: {error.what}"


def _retrain(body: Any, fact: Fact) -> str:
    data = f" on {body.data.asset} with the last {body.data.window} of production" if body.data else ""
    return f"start release {body.release}, which trains{data}"


def _scale(body: Any, fact: Fact) -> str:
    number = f"to {body.instances}" if body.instances is not None else f"by {body.change:+d}"
    return f"{messages.fill(body.endpoint, fact)} {number} instances"


def _open_labeling(body: Any, fact: Fact) -> str:
    like = body.project if isinstance(body.project, str) else body.project.name
    by = " and ".join(body.sample.by)
    return f"a project like {like} in {body.workspace or 'its workspace'}, at most {body.sample.count} items by {by}"


_DESCRIBE: dict[str, Any] = {
    "retrain": _retrain,
    "start_release": lambda body, fact: " ".join(
        ["release", body.release, messages.fill(body.model_version, fact) if body.model_version else ""]
    ).strip(),
    "roll_back": lambda body, fact: f"{messages.fill(body.endpoint, fact)} to {body.deployment or 'the one before'}",
    "scale": _scale,
    "run_job": lambda body, fact: f"in {body.workspace or 'its workspace'}",
    "notify": lambda body, fact: f"{', '.join(body.to)}: {messages.fill(body.title_ or fact.type, fact)}",
    "webhook": lambda body, fact: body.url,
    "open_labeling": _open_labeling,
}
