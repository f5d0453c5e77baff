"""Looking at budgets, and telling who owns the money."""

from __future__ import annotations

from typing import Any

from doubleloop.base import actors, clock
from doubleloop.cost import model, queries, rules, store
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events

ACTOR = actors.service("monitor")
OWNERS = ("product_owner",)


def judge(contexts: Contexts) -> int:
    """Tell of every threshold that is reached and was not told of in its period; how many there were."""
    with contexts.read(ACTOR) as ctx:
        if not any(_untold(each) for each in queries.look(ctx, queries.budgets(ctx))):
            return 0
    with contexts.write(ACTOR) as ctx:  # asked again: another look may have told it meanwhile
        return sum(_tell(ctx, each) for each in queries.look(ctx, queries.budgets(ctx)))


def _untold(found: model.Standing) -> list[tuple[model.Basis, int]]:
    told = {(each.basis, each.threshold) for each in found.crossed}
    return [each for each in dict.fromkeys(rules.crossed(found)) if each not in told]


def _tell(ctx: Ctx, found: model.Standing) -> int:
    untold = _untold(found)
    for basis, threshold in untold:
        store.add(ctx, found, basis, threshold)
        events.record(
            ctx.in_workspace(found.budget.workspace), "budget.alert", found.budget.subject,
            basis=basis.value, threshold=threshold, **about(found),
        )  # fmt: skip
    return len(untold)


def about(found: model.Standing) -> dict[str, Any]:
    """What a fact says of it; money in hundredths, as text."""
    chosen = found.budget
    return {
        "budget": chosen.name, "kind": "cost", "compute": chosen.compute or "", "endpoint": chosen.endpoint or "",
        "spent": rules.shown(found.spent), "forecast": rules.shown(found.forecast), "amount": str(chosen.amount),
        "currency": chosen.currency, "share": round(rules.share(found.spent, chosen), 4),
        "period": {"start": clock.iso(found.start), "end": clock.iso(found.end)}, "unpriced": len(found.unpriced),
        "dearest": [
            f"{each.kind} {each.workspace}/{each.name}: {rules.shown(each.cost)}"
            for each in found.lines[:3] if each.cost is not None
        ],
        "tell": list(OWNERS), "notify": list(chosen.notify),
    }  # fmt: skip
