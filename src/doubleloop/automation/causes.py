"""What a fact came of: the fact that a rule acted on, whose action wrote it, or started what wrote it.

A rule's actions write the fact they answer into what they make: into the record (``context.cause``), into the purpose
of jobs and into the trigger of releases. What comes of jobs, releases and deployments later names these. What happens
by the clock or outside (a monitor's run, a person, another system) has no cause here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.endpoints import queries as endpoints
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.jobs import queries as jobs
from doubleloop.releases import queries as releases

# A chain of reactions that is longer than this is taken for one that never ends.
LONGEST = 64


def trail(ctx: Ctx, fact: Fact) -> list[int]:
    """The facts that led to this one, its own cause first; without itself."""
    found: list[int] = []
    current: Fact | None = fact
    while current is not None and len(found) < LONGEST:
        seq = cause(ctx, current)
        if not seq or seq in found or seq >= current.seq:
            break
        found.append(seq)
        current = next(iter(facts.facts(ctx, after=seq - 1, limit=1)), None)
        if current is not None and current.seq != seq:  # archived
            break
    return found


def cause(ctx: Ctx, fact: Fact) -> int:
    """The sequence number of what it came of; 0 when it came of nothing that is known."""
    said = (fact.context or {}).get("cause")
    if isinstance(said, int):
        return said
    kind, _, rest = fact.subject.partition(":")
    if isinstance(fact.data.get("purpose"), dict):
        return _of_purpose(ctx, fact.data["purpose"])
    if kind == "release":
        return _of_release(ctx, rest)
    if fact.data.get("release"):
        return _of_release(ctx, str(fact.data["release"]))
    if kind == "endpoint" and isinstance(fact.data.get("after"), dict):
        return _of_traffic(ctx, fact)
    if fact.data.get("job"):
        return _of_job(ctx, str(fact.data["job"]))
    return 0


def _of_purpose(ctx: Ctx, purpose: Mapping[str, Any]) -> int:
    if isinstance(purpose.get("fact"), int):
        return int(purpose["fact"])
    return _of_release(ctx, str(purpose["release"])) if purpose.get("release") else 0


def _of_release(ctx: Ctx, id_: str) -> int:
    try:
        found = releases.find(ctx, id_).trigger.get("fact")
    except errors.DoubleloopError:
        return 0
    return found if isinstance(found, int) else 0


def _of_job(ctx: Ctx, id_: str) -> int:
    try:
        found = jobs.get(ctx.in_workspace(None), id_)
    except errors.DoubleloopError:
        return 0
    return _of_purpose(ctx, found.purpose) if found is not None else 0


def _of_traffic(ctx: Ctx, fact: Fact) -> int:
    """A release moves traffic to the deployment that it made."""
    try:
        there = endpoints.deployments(ctx.in_workspace(fact.workspace), fact.subject.rpartition("/")[2])
    except errors.DoubleloopError:
        return 0
    made = [each.release for each in there if each.release and each.name in fact.data["after"]]
    return max((_of_release(ctx, each) for each in made), default=0)
