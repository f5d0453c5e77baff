"""Monitors: each signal over time, the newest run, alerts and what moved."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.console import charts, overview, rendering, requests
from doubleloop.console.requests import needs
from doubleloop.identity.actions import Action
from doubleloop.monitoring import commands, model, queries

router = APIRouter()


@router.get("/monitors", openapi_extra=needs(Action.MONITOR_READ))
def index(request: Request) -> Response:
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.MONITOR_READ)
        found = [each for place in places for each in overview.watched_in(ctx.in_workspace(place))]
        return rendering.page(request, "monitors.html", now=ctx.now, watched=found, places=places)


@router.get("/monitors/{ws}/{name}", openapi_extra=needs(Action.MONITOR_READ))
def show(request: Request, ws: str, name: str) -> Response:
    with requests.reading(request, ws) as ctx:
        runs = queries.runs(ctx, name, 20)
        values: dict[str, Any] = {
            "ws": ws,
            "monitor": queries.get(ctx, name),
            "runs": runs,
            "last": runs[0] if runs else None,
            "latest": next((run for run in runs if run.status is model.RunStatus.COMPLETED), None),
            "charts": charts.group(queries.series(ctx, name)),
            "alerts": queries.alerts(ctx, name, limit=50),
            "may_run": requests.allowed(ctx, Action.MONITOR_RUN),
            "may_see_endpoint": requests.allowed(ctx, Action.ENDPOINT_READ),
        }
        return rendering.page(request, "monitor.html", now=ctx.now, **values)


@router.get("/monitors/{ws}/{name}/pulse", openapi_extra=needs(Action.MONITOR_READ))
def pulse(request: Request, ws: str, name: str, seen: str = "") -> Response:
    """Has the page loaded again once the newest run is another or has ended."""
    with requests.reading(request, ws) as ctx:
        runs = queries.runs(ctx, name, 1)
    newest = f"{runs[0].id}/{runs[0].status}" if runs else ""
    return Response(status_code=204, headers={"hx-refresh": "true"} if newest != seen else {})


@router.post("/monitors/{ws}/{name}/run", openapi_extra=needs(Action.MONITOR_RUN))
def run_now(request: Request, ws: str, name: str, csrf: str = Form("")) -> Response:
    requests.actor(request)
    requests.check_form(request, csrf)
    with requests.writing(request, ws) as ctx:
        commands.run_now(ctx, name)
    return RedirectResponse(f"/monitors/{ws}/{name}", 303)
