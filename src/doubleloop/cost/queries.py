"""What is spent of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from doubleloop.base import errors
from doubleloop.cost import model, rules, store
from doubleloop.db.context import Ctx
from doubleloop.endpoints import model as serving
from doubleloop.endpoints import queries as endpoints
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import queries as jobs
from doubleloop.workspaces import declared

KIND = "budget"


def standings(ctx: Ctx) -> list[model.Standing]:
    """The budgets of the context's workspace, and those of the whole installation for who may read all of it."""
    identity.permit(ctx, Action.MONITOR_READ)
    every = identity.decide(ctx.in_workspace(None), Action.MONITOR_READ).allowed
    places = (ctx.workspace, None) if every else (ctx.workspace,)
    return look(ctx, [each for each in budgets(ctx) if each.workspace in places])


def standing(ctx: Ctx, name: str) -> model.Standing:
    """Raises NotFound, also for one of another workspace."""
    found = {each.budget.name: each for each in standings(ctx)}
    if name not in found:
        raise errors.NotFound(
            f"No budget is named '{name}' in {ctx.workspace}",
            cure=f"There are: {', '.join(sorted(found)) or 'none; name them in a setup file'}.",
        )
    return found[name]


def budgets(ctx: Ctx) -> list[model.Budget]:
    """All there are, by name. The caller permits it."""
    return [rules.budget(name, said) for name, said in sorted(declared.every(ctx, KIND).items())]


def look(ctx: Ctx, chosen: Sequence[model.Budget]) -> list[model.Standing]:
    """How they stand, and what was told of them. The caller permits it."""
    if not chosen:
        return []
    computes = declared.every(ctx, "compute")
    taken = usage(ctx, rules.needed(chosen, ctx.now))
    found = [rules.standing(each, taken, computes, ctx.now) for each in chosen]
    return [replace(each, crossed=store.crossed(ctx, each.budget, each.start)) for each in found]


def usage(ctx: Ctx, since: datetime) -> list[model.Usage]:
    """What steps and deployments took since, of every workspace. The caller permits it."""
    steps = [
        model.Usage("job", each.workspace, each.job, "", each.compute, each.start, each.end)
        for each in jobs.usage(ctx, since, ctx.now)
    ]
    return steps + [_deployed(each) for each in endpoints.served(ctx, since, ctx.now)]


def _deployed(each: serving.Deployment) -> model.Usage:
    said: dict[str, Any] = each.spec["spec"]
    scales = said.get("scale_settings") or {}
    nodes = scales.get("min_instances") or said.get("instance_count") or 1
    assert each.ready_at is not None
    return model.Usage(
        "endpoint", each.workspace, each.name, each.endpoint, said.get("instance_type") or "", each.ready_at,
        each.ended_at, int(nodes),
    )  # fmt: skip
