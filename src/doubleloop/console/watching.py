"""Monitors: each signal over time, the newest run; alerts: what moved, and what is done about them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from doubleloop.automation import asking
from doubleloop.base import clock, errors
from doubleloop.console import charts, overview, pictured, rendering, requests
from doubleloop.console.requests import needs
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.monitoring import alerts, commands, examples, model, queries
from doubleloop.specs.kinds import labeling as asks

router = APIRouter()

MOST = 500


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


@router.get("/alerts", openapi_extra=needs(Action.MONITOR_READ))
def alerts_(request: Request, all: bool = False) -> Response:
    """Those that are not resolved; ``all``: the others too."""
    with requests.reading(request) as ctx:
        places = requests.places(ctx, Action.MONITOR_READ)
        found = [
            each for place in places for each in queries.alerts(ctx.in_workspace(place), only_open=not all, limit=MOST)
        ]
        found.sort(key=lambda each: (each.state is model.AlertState.RESOLVED, -each.raised_at.timestamp()))
        return rendering.page(request, "alerts.html", now=ctx.now, alerts=found, places=places, all=all)


@router.get("/alerts/{ws}/{id}", openapi_extra=needs(Action.MONITOR_READ))
def alert(request: Request, ws: str, id: str) -> Response:
    with requests.reading(request, ws) as ctx:
        found = queries.alert(ctx, id)
        may = identity.decide(ctx, Action.ALERT_WRITE, ws, f"monitor/{found.monitor}").allowed
        history = [(each, 1) for each in queries.history(ctx, found)]
        values: dict[str, Any] = {
            "ws": ws, "alert": found, "history": history, "verbs": _offered(found) if may else (),
            "may_see_endpoint": requests.allowed(ctx, Action.ENDPOINT_READ, ws), "tasks": asks.TASKS,
            "label_in": requests.places(ctx.in_workspace(None), Action.LABELING_WRITE),
        }  # fmt: skip
        return rendering.page(request, "alert.html", now=ctx.now, **values)


def _offered(alert: model.Alert) -> tuple[str, ...]:
    """What can be done about an alert in its state."""
    if alert.state is model.AlertState.RESOLVED:
        return ("reopen",)
    more = {model.AlertState.OPEN: ("acknowledge",), model.AlertState.SILENCED: ("acknowledge", "reopen")}
    return (*more.get(alert.state, ("reopen",)), "silence", "resolve")


@router.get("/monitors/{ws}/{name}/examples/{run}/{signal}/{number}", openapi_extra=needs(Action.ENDPOINT_READ))
def example(request: Request, ws: str, name: str, run: str, signal: str, number: int) -> Response:
    """What was really asked and answered, as a part of a page."""
    found = examples.look(requests.contexts(request), requests.actor(request), ws, run, signal, number)
    return rendering.page(request, "example.html", example=found, **pictured.shown(found))


@router.post("/alerts/{ws}/{id}/label", openapi_extra=needs(Action.ENDPOINT_READ))
def label(
    request: Request, ws: str, id: str, project: str = Form(""), task: str = Form(""), to: str = Form(""),
    csrf: str = Form(""),
) -> Response:  # fmt: skip
    actor = requests.actor(request)
    requests.check_form(request, csrf)
    made = asking.label_examples(requests.contexts(request), actor, ws, id, project, task=task or None, to=to or None)
    return RedirectResponse(f"/labeling/{made.workspace}/{made.name}", 303)


@router.post("/alerts/{ws}/{id}/change", openapi_extra=needs(Action.ALERT_WRITE))
def change(
    request: Request, ws: str, id: str, do: str = Form(""), comment: str = Form(""), span: str = Form(""),
    csrf: str = Form(""),
) -> Response:  # fmt: skip
    requests.actor(request)
    requests.check_form(request, csrf)
    verbs = {"acknowledge": alerts.acknowledge, "resolve": alerts.resolve, "reopen": alerts.reopen}
    with requests.writing(request, ws) as ctx:
        if do == "silence":
            try:
                length = clock.duration(span)
            except (ValueError, OverflowError) as error:
                raise errors.InvalidInput(f"How long: {error}", cure="Write 2h, 30m or 1d.") from None
            alerts.silence(ctx, id, length=length, comment=comment)
        elif do in verbs:
            verbs[do](ctx, id, comment)
        else:
            raise errors.InvalidInput(f"'{do[:80]}' is nothing to do", cure="Use the buttons of the page.")
    return RedirectResponse(f"/alerts/{ws}/{id}", 303)
