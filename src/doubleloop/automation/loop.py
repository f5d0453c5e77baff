"""Watching the log of facts and the clock. Each reaction commits together with the place marker, so it happens once."""

from __future__ import annotations

import logging
import threading

from doubleloop.automation import causes, commands, defaults, judging, labels, model, store, telling
from doubleloop.base import actors, errors
from doubleloop.db import changes
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.events import commands as events
from doubleloop.events.model import Fact
from doubleloop.identity import activations
from doubleloop.labeling import syncing
from doubleloop.monitoring import alerts
from doubleloop.monitoring import commands as monitoring
from doubleloop.releases import commands as release_commands
from doubleloop.releases import queries as releases
from doubleloop.specs import documents
from doubleloop.specs.kinds import rules as specs

LOG = logging.getLogger("doubleloop.automation")

ACTOR = actors.service("automation")
CONSUMER = "automation"
BATCH = 50
# Between looks at the clock where nothing is written and nothing falls due sooner: clocks are set.
CLOCK_SECONDS = 20.0
SOONEST_SECONDS = 1.0


class Loop:
    """``run`` until stopped; ``tick`` is one look."""

    def __init__(self, contexts: Contexts, interval: float) -> None:
        self._contexts = contexts
        self._interval = interval

    def run(self, stopping: threading.Event) -> None:
        changed = changes.Changes(self._contexts.engine, CLOCK_SECONDS)
        while not stopping.is_set():
            busy = 0
            try:
                if changed.due():
                    busy = self.tick()
                    changed.within(self.quiet_seconds())
            except Exception:
                LOG.exception("a look at facts and schedules failed; trying again")
                changed.again()
                stopping.wait(2.0)
            if busy:
                changed.again()
            else:
                stopping.wait(self._interval)
        changed.close()

    def tick(self) -> int:
        """React to new facts and fire what is due; returns how much there was to do."""
        return self._react() + self._fire()

    def quiet_seconds(self) -> float:
        """How long, from now, nothing falls due if nobody writes anything."""
        with self._contexts.read(ACTOR) as ctx:
            known = (
                store.next_at(ctx), monitoring.store.next_at(ctx), activations.next_end(ctx),
                alerts.next_silence_end(ctx), syncing.next_at(ctx),
            )  # fmt: skip
            left = [(each - ctx.now).total_seconds() for each in known if each is not None]
        return min([CLOCK_SECONDS, *(max(each, SOONEST_SECONDS) for each in left)])

    def _react(self) -> int:
        with self._contexts.read(ACTOR) as ctx:
            waiting = events.unread(ctx, CONSUMER, limit=BATCH)
        for fact in waiting:
            with self._contexts.write(ACTOR, fact.workspace) as ctx:
                react(ctx, fact)
                events.advance(ctx, CONSUMER, fact.seq)
        return len(waiting)

    def _fire(self) -> int:
        with self._contexts.read(ACTOR) as ctx:
            due = (
                store.due(ctx, ctx.now) or monitoring.store.due(ctx, ctx.now) or activations.over(ctx)
                or alerts.silences_over(ctx) or syncing.due(ctx)
            )  # fmt: skip
        if not due:
            return 0
        with self._contexts.write(ACTOR) as ctx:
            ended = [*activations.end_over(ctx), *alerts.end_silences(ctx)]
            started = [*commands.fire_due(ctx), *monitoring.fire_due(ctx), *syncing.fire_due(ctx)]
            return len(started) + len(ended)


def react(ctx: Ctx, fact: Fact) -> None:
    """What a fact leads to: a release of a newly registered model, messages, and every rule that it fits."""
    if fact.type.startswith(judging.OWN_FACTS):
        return
    if fact.type == "model.registered":
        _release(ctx, fact)
    if fact.type == "release.defined":
        defaults.put(ctx, fact)
    if fact.type == "labeling.reviewed":
        labels.spread(ctx, fact)
    telling.spread(ctx, fact)
    for rule in store.rules(ctx):
        spec = documents.from_wire(rule.document).model
        if judging.hears(rule, spec, fact):
            _act(ctx, rule, spec, fact)


def _release(ctx: Ctx, fact: Fact) -> None:
    """A new version of a model starts the releases that wait for one."""
    name, version = fact.data["name"], fact.data["version"]
    for definition in releases.starts_on(ctx, name, fact.data.get("job")):
        trigger = {"type": fact.type, "fact": fact.seq, "author": fact.data["created_by"]}
        try:
            with ctx.tx.begin_nested():
                release_commands.start(
                    ctx.in_workspace(None), definition, model_version=version, trigger=trigger,
                    id=releases.id_for(ctx, definition, name, version),
                )  # fmt: skip
        except errors.DoubleloopError as error:
            events.record(
                ctx.in_workspace(None), "release.not_started", f"definition:{definition}", model=name, version=version,
                error=str(error),
            )  # fmt: skip


def _act(ctx: Ctx, rule: model.Rule, spec: specs.Rule, fact: Fact) -> None:
    place = ctx.in_workspace(rule.workspace)
    trail = causes.trail(ctx, fact)
    looped = judging.loops(trail, store.acted_on(place, rule, trail))
    if looped:
        _stop(place, rule, fact, trail, looped)
        return
    quiet = _told_already(place, rule, fact) or judging.quiet(
        spec, ctx.now, rule.last_fired_at, lambda since: store.firings(place, rule, since)
    )
    if quiet:
        events.record(place, "rule.skipped", rule.id, fact=fact.seq, why=quiet)
        return
    if not store.add_firing(place, rule, fact.seq):
        return
    events.record(place, "rule.fired", rule.id, fact=fact.seq, on=fact.type, do=[action.verb for action in spec.do])
    durable.start(
        place, "automation.react", f"act-{rule.workspace}/{rule.name}-{fact.seq}",
        {"workspace": rule.workspace, "rule": rule.name, "author": rule.created_by, "fact": fact.seq,
         "document": rule.document},
    )  # fmt: skip


def _stop(ctx: Ctx, rule: model.Rule, fact: Fact, trail: list[int], why: str) -> None:
    """A rule that would feed itself does nothing, says so, and its author is told."""
    said = events.record(
        ctx, "rule.loop_stopped", rule.id, fact=fact.seq, on=fact.type, trail=trail, why=why, author=rule.created_by
    )
    telling.spread(ctx, said)


def _told_already(ctx: Ctx, rule: model.Rule, fact: Fact) -> str:
    earlier = [each.seq for each in commands.occasion(ctx, fact) if each.seq < fact.seq]
    return judging.told_already(fact, store.acted_on(ctx, rule, earlier))
