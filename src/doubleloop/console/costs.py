"""Budgets of cost: what is spent of each in its period, and what on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from doubleloop.console import rendering, requests
from doubleloop.console.requests import needs
from doubleloop.cost import queries, rules
from doubleloop.identity.actions import Action

router = APIRouter()

LINES = 20


@router.get("/budgets", openapi_extra=needs(Action.MONITOR_READ))
def index(request: Request) -> Response:
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.MONITOR_READ)
        found = {each.budget.name: each for place in places for each in queries.standings(ctx.in_workspace(place))}
        standings = [
            {"at": each, "spent": rules.shown(each.spent), "forecast": rules.shown(each.forecast),
             "share": rules.share(each.spent, each.budget),
             "lines": [(line, rules.shown(line.cost), rules.shown(line.hours)) for line in each.lines[:LINES]]}
            for _, each in sorted(found.items())
        ]  # fmt: skip
        return rendering.page(request, "budgets.html", now=ctx.now, standings=standings, places=places)
