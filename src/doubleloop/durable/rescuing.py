"""Things that only a workflow can end, and whose workflow is gone, are brought on.

A workflow dies when the engine itself fails it: a body whose steps are others than those it began with, a database
that was away at the wrong moment. It is started once more under its second id with an empty memory (bodies look at what
their room has written down, so what is finished stays); when that one dies too, the thing is given up with a reason.
What is at work, or waits in the outbox, is never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from doubleloop.base import actors
from doubleloop.db.context import Contexts
from doubleloop.durable import ports, rules, store

LOG = logging.getLogger("doubleloop.durable")
ACTOR = actors.service("durable")


class Engine(Protocol):
    contexts: Contexts

    def fates(self, workflow_ids: Sequence[str]) -> Mapping[str, rules.Fate]:
        """What became of each; ids that the engine has never heard of are left out."""

    def restart(self, workflow_id: str, workflow: str, argument: dict[str, Any]) -> None:
        """Start ``workflow`` as the second of ``workflow_id``; signals to that id reach it from now on."""


def rescue(engine: Engine, searches: Iterable[ports.Search]) -> int:
    """Bring on what has no workflow any more; how many things that were."""
    found = _unfinished(engine.contexts, searches)
    # Asked for after the rows were read: what has been handed over meanwhile is known to the engine.
    fates = engine.fates([name for each in found for name in (each.workflow_id, rules.second(each.workflow_id))])
    return sum(_bring_on(engine, each, fates) for each in found)


def _unfinished(contexts: Contexts, searches: Iterable[ports.Search]) -> list[ports.Unfinished]:
    with contexts.read(ACTOR) as ctx:
        found = [each for search in searches for each in search(ctx)]
        # In this order: what has left the outbox by now is known to the engine, whatever a reader sees in between.
        waiting = store.waiting_to_start(ctx)
    return [each for each in found if each.workflow_id not in waiting]


def _bring_on(engine: Engine, thing: ports.Unfinished, fates: Mapping[str, rules.Fate]) -> bool:
    before, after = fates.get(thing.workflow_id), fates.get(rules.second(thing.workflow_id))
    cure = rules.cure(before, after)
    if cure is rules.Cure.NONE:
        return False
    last = after or before
    error = last.error if last else "it was lost"
    try:
        if cure is rules.Cure.RESTART:
            LOG.error("the workflow %s died: %s; %s goes on for it", thing.workflow_id, error, thing.workflow)
            engine.restart(thing.workflow_id, thing.workflow, thing.argument)
        else:
            LOG.error("the workflow %s died twice: %s; it is given up", thing.workflow_id, error)
            thing.give_up(engine.contexts, f"Doubleloop itself failed twice here: {error}\n  {_REPORT}")
    except Exception:
        LOG.exception("%s could not be brought on; trying again", thing.workflow_id)
    return True


_REPORT = "The worker's log says more; please report it."
