"""Looking at schedules and rules."""

from __future__ import annotations

from doubleloop.automation import commands, model, store
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action


def schedules(ctx: Ctx) -> list[model.Schedule]:
    sees = things.seen(ctx, Action.SCHEDULE_READ, "schedule")
    return [each for each in store.schedules(ctx, ctx.workspace) if sees(each.name)]


def schedule(ctx: Ctx, name: str) -> model.Schedule:
    identity.permit(ctx, Action.SCHEDULE_READ)
    return commands.get_schedule(ctx, name)


def rules(ctx: Ctx) -> list[model.Rule]:
    sees = things.seen(ctx, Action.RULE_READ, "rule")
    return [each for each in store.rules(ctx, ctx.workspace) if sees(each.name)]


def rule(ctx: Ctx, name: str) -> model.Rule:
    identity.permit(ctx, Action.RULE_READ)
    return commands.get_rule(ctx, name)
