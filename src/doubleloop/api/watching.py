"""Monitors, schedules, rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Body, Query, Request

from doubleloop.api import render, requests, routing
from doubleloop.api.routing import needs
from doubleloop.automation import commands as automation
from doubleloop.automation import queries as automations
from doubleloop.automation import rehearsing
from doubleloop.base import clock, errors
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.monitoring import commands as monitoring
from doubleloop.monitoring import model
from doubleloop.monitoring import queries as monitors

router = routing.router("/api/v1/workspaces/{ws}")


def _monitor(ctx: Ctx, monitor: model.Monitor) -> dict[str, Any]:
    runs = monitors.runs(ctx, monitor.name, 1)
    alerts = monitors.alerts(ctx, monitor.name, only_open=True, limit=1000)
    return render.monitor(monitor, runs[0] if runs else None, len(alerts))


@router.post("/monitors", openapi_extra=needs(Action.MONITOR_WRITE))
def put_monitor(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "schedule")
    with requests.writing(request, ws) as ctx:
        return _monitor(ctx, monitoring.put(ctx, document))


@router.get("/monitors", openapi_extra=needs(Action.MONITOR_READ))
def list_monitors(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(monitors.monitors(ctx), lambda each: _monitor(ctx, each))


@router.get("/monitors/{name}", openapi_extra=needs(Action.MONITOR_READ))
def show_monitor(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return _monitor(ctx, monitors.get(ctx, name))


@router.delete("/monitors/{name}", openapi_extra=needs(Action.MONITOR_WRITE))
def delete_monitor(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        monitoring.delete(ctx, name)
    return {}


@router.post("/monitors/{name}/runs", openapi_extra=needs(Action.MONITOR_RUN))
def run_now(request: Request, ws: str, name: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    requests.refuse_unknown(body, "as_of", "id")
    try:
        as_of = clock.parse(text) if (text := requests.text(body, "as_of")) else None
    except ValueError as error:
        raise errors.InvalidInput(f"as_of: {error}", cure="Write 2026-01-31 or 2026-01-31T12:00:00Z.") from None
    with requests.writing(request, ws) as ctx:
        return render.monitor_run(monitoring.run_now(ctx, name, as_of, requests.identifier(body)))


@router.get("/monitors/{name}/runs", openapi_extra=needs(Action.MONITOR_READ))
def list_runs(request: Request, ws: str, name: str, limit: int = Query(100, ge=1, le=1000)) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(monitors.runs(ctx, name, limit), render.monitor_run)


@router.get("/monitors/{name}/runs/{id}", openapi_extra=needs(Action.MONITOR_READ))
def show_run(request: Request, ws: str, name: str, id: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.monitor_run(monitors.run(ctx, id))


@router.get("/monitors/{name}/series", openapi_extra=needs(Action.MONITOR_READ))
def series(
    request: Request,
    ws: str,
    name: str,
    signal: str | None = None,
    metric: str | None = None,
    column: str | None = None,
) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(monitors.series(ctx, name, signal, metric, column), render.plain)


@router.get("/monitors/{name}/alerts", openapi_extra=needs(Action.MONITOR_READ))
def alerts(
    request: Request, ws: str, name: str, open: bool = False, limit: int = Query(100, ge=1, le=1000)
) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        monitors.get(ctx, name)
        return requests.listing(monitors.alerts(ctx, name, open, limit), render.alert)


@router.post("/schedules", openapi_extra=needs(Action.SCHEDULE_WRITE))
def put_schedule(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "schedule")
    with requests.writing(request, ws) as ctx:
        if document.model.create_monitor is not None:
            return _monitor_schedule(ctx, monitoring.put(ctx, document))
        return render.schedule(automation.put_schedule(ctx, document))


def _monitor_schedule(ctx: Ctx, monitor: model.Monitor) -> dict[str, Any]:
    runs = monitors.runs(ctx, monitor.name, 1)
    return render.monitor_schedule(monitor, runs[0] if runs else None)


@router.get("/schedules", openapi_extra=needs(Action.SCHEDULE_READ))
def list_schedules(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        found = [render.schedule(each) for each in automations.schedules(ctx)]
        found += [_monitor_schedule(ctx, each) for each in _monitors(ctx)]
    return {"items": sorted(found, key=lambda each: each["name"]), "next": None}


def _monitors(ctx: Ctx) -> list[model.Monitor]:
    """Those that the actor may read: to read schedules is not to read what monitors say."""
    return monitors.monitors(ctx) if identity.decide(ctx, Action.MONITOR_READ).allowed else []


def _is_monitor(ctx: Ctx, name: str) -> bool:
    return any(each.name == name for each in _monitors(ctx))


@router.get("/schedules/{name}", openapi_extra=needs(Action.SCHEDULE_READ))
def show_schedule(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        if _is_monitor(ctx, name):
            return _monitor_schedule(ctx, monitors.get(ctx, name))
        return render.schedule(automations.schedule(ctx, name))


@router.post("/schedules/{name}/enable", openapi_extra=needs(Action.SCHEDULE_WRITE))
def enable(request: Request, ws: str, name: str) -> dict[str, Any]:
    return _enable(request, ws, name, True)


@router.post("/schedules/{name}/disable", openapi_extra=needs(Action.SCHEDULE_WRITE))
def disable(request: Request, ws: str, name: str) -> dict[str, Any]:
    return _enable(request, ws, name, False)


def _enable(request: Request, ws: str, name: str, enabled: bool) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        if _is_monitor(ctx, name):
            return _monitor_schedule(ctx, monitoring.enable(ctx, name, enabled))
        return render.schedule(automation.enable_schedule(ctx, name, enabled))


@router.delete("/schedules/{name}", openapi_extra=needs(Action.SCHEDULE_WRITE))
def delete_schedule(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        if _is_monitor(ctx, name):
            monitoring.delete(ctx, name)
        else:
            automation.delete_schedule(ctx, name)
    return {}


@router.post("/rules", openapi_extra=needs(Action.RULE_WRITE))
def put_rule(request: Request, ws: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
    requests.refuse_unknown(body, "document")
    document = requests.document(body, "rule")
    with requests.writing(request, ws) as ctx:
        return render.rule(automation.put_rule(ctx, document))


@router.get("/rules", openapi_extra=needs(Action.RULE_READ))
def list_rules(request: Request, ws: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return requests.listing(automations.rules(ctx), render.rule)


@router.get("/rules/{name}", openapi_extra=needs(Action.RULE_READ))
def show_rule(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.reading(request, ws) as ctx:
        return render.rule(automations.rule(ctx, name))


@router.delete("/rules/{name}", openapi_extra=needs(Action.RULE_WRITE))
def delete_rule(request: Request, ws: str, name: str) -> dict[str, Any]:
    with requests.writing(request, ws) as ctx:
        automation.delete_rule(ctx, name)
    return {}


@router.post("/rules/{name}/dry-run", openapi_extra=needs(Action.RULE_READ))
def rehearse(request: Request, ws: str, name: str, body: dict[str, Any] = Body(default={})) -> dict[str, Any]:
    """What the rule would have done; nothing is changed."""
    requests.refuse_unknown(body, "since", "document")
    document = requests.document(body, "rule") if "document" in body else None
    with requests.reading(request, ws) as ctx:
        since = _since(requests.text(body, "since", "P30D"), ctx.now)
        return render.rehearsal(rehearsing.rehearse(ctx, name, since, document))


def _since(text: str, now: datetime) -> datetime:
    """A time, or a span before now. Raises InvalidInput."""
    try:
        return now - clock.duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        return clock.parse(text)
    except (ValueError, OverflowError):
        raise errors.InvalidInput(
            f"since: '{text[:80]}' is neither a span nor a time", cure="Write P30D, 12h or 2026-01-31."
        ) from None
