"""Alerts of monitors: those there are, and what people do about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Body, Query, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.automation import asking
from doubleloop.base import clock, errors
from doubleloop.db.context import Ctx
from doubleloop.identity.actions import Action
from doubleloop.monitoring import alerts, model, queries

router = routing.router("/api/v1/workspaces/{ws}/alerts")


@router.get("", openapi_extra=needs(Action.MONITOR_READ))
def list_alerts(
    request: Request,
    ws: str,
    monitor: str | None = None,
    state: str | None = Query(None, max_length=200),
    open: bool = False,
    limit: int = Query(100, ge=1, le=1000),
) -> dict[str, Any]:
    wanted = [each.strip() for each in (state or "").split(",") if each.strip()]
    with requests.reading(request, ws) as ctx:
        if monitor is not None:
            queries.get(ctx, monitor)
        return requests.listing(queries.alerts(ctx, monitor, open, limit, wanted), render.alert)


@router.get("/{alert}", openapi_extra=needs(Action.MONITOR_READ))
def show(request: Request, ws: str, alert: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = queries.alert(ctx, alert)
        history = [render.alert_change(each) for each in queries.history(ctx, found)]
        return {**render.alert(found), "history": history}


@router.post("/{alert}/acknowledge", openapi_extra=needs(Action.ALERT_WRITE))
def acknowledge(request: Request, ws: str, alert: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    return _change(request, ws, alert, body, alerts.acknowledge)


@router.post("/{alert}/resolve", openapi_extra=needs(Action.ALERT_WRITE))
def resolve(request: Request, ws: str, alert: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    return _change(request, ws, alert, body, alerts.resolve)


@router.post("/{alert}/reopen", openapi_extra=needs(Action.ALERT_WRITE))
def reopen(request: Request, ws: str, alert: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    return _change(request, ws, alert, body, alerts.reopen)


@router.post("/{alert}/silence", openapi_extra=needs(Action.ALERT_WRITE))
def silence(request: Request, ws: str, alert: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment", "until", "for")
    until, length = requests.text(body, "until"), requests.text(body, "for")
    try:
        end, span = clock.parse(until) if until else None, clock.duration(length) if length else None
    except (ValueError, OverflowError) as error:
        raise errors.InvalidInput(
            f"The end of the silence: {error}", cure="Write until: 2026-01-31T12:00:00Z, or for: 2h."
        ) from None
    with requests.writing(request, ws) as ctx:
        found = alerts.silence(ctx, alert, until=end, length=span, comment=requests.text(body, "comment"))
        return render.alert(found)


@router.post("/{alert}/label", openapi_extra=needs(Action.ENDPOINT_READ))
def label(request: Request, ws: str, alert: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    requests.refuse_unknown(body, "project", "task", "workspace")
    project, task, to = (requests.text(body, each) for each in ("project", "task", "workspace"))
    made = asking.label_examples(
        requests.contexts(request), requests.actor(request), ws, alert, project, task=task or None, to=to or None
    )
    return {"project": made.name, "workspace": made.workspace, "items": made.items}


def _change(
    request: Request, ws: str, id_: str, body: dict[str, Any], verb: Callable[[Ctx, str, str], model.Alert]
) -> dict[str, Any]:
    requests.refuse_unknown(body, "comment")
    with requests.writing(request, ws) as ctx:
        return render.alert(verb(ctx, id_, requests.text(body, "comment")))
