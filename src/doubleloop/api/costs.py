"""Budgets of cost: what is spent of them, and by what."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from doubleloop.api import requests, routing
from doubleloop.api.routing import needs
from doubleloop.base import clock
from doubleloop.cost import model, queries, rules
from doubleloop.identity.actions import Action

router = routing.router("/api/v1/workspaces/{ws}/budgets")


@router.get("", openapi_extra=needs(Action.MONITOR_READ))
def list_budgets(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(queries.standings(ctx), _standing)


@router.get("/{name}", openapi_extra=needs(Action.MONITOR_READ))
def show_budget(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = queries.standing(ctx, name)
    return {**_standing(found), "lines": [_line(each) for each in found.lines]}


def _standing(found: model.Standing) -> dict[str, Any]:
    chosen = found.budget
    return {
        "name": chosen.name, "workspace": chosen.workspace, "compute": chosen.compute, "endpoint": chosen.endpoint,
        "amount": str(chosen.amount), "currency": chosen.currency, "period": chosen.period,
        "period_start": clock.iso(found.start), "period_end": clock.iso(found.end), "spent": rules.shown(found.spent),
        "share": round(rules.share(found.spent, chosen), 4), "forecast": rules.shown(found.forecast),
        "alert_at": list(chosen.alert_at), "forecast_at": list(chosen.forecast_at), "notify": list(chosen.notify),
        "unpriced": len(found.unpriced),
        "alerts": [
            {"basis": each.basis.value, "threshold": each.threshold, "at": clock.iso(each.at)}
            for each in found.crossed
        ],
    }  # fmt: skip


def _line(line: model.Line) -> dict[str, Any]:
    return {
        "kind": line.kind, "workspace": line.workspace, "name": line.name, "compute": line.compute,
        "hours": rules.shown(line.hours), "cost": rules.shown(line.cost), "why": line.why,
    }  # fmt: skip
